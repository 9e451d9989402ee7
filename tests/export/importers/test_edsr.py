"""Published EDSR files become the very network they were saved from, or are refused with what did not fit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from export.errors import ImportRefused
from export.importers import Options, StateFile, import_published
from models import EdsrConfig
from tests.export.examples import small_config, small_edsr
from tests.export.importers.examples import basicsr, in_0_to_1, official, pixels, state_file

SCALES = (2, 3, 4, 8)


def published(layout: str, config: EdsrConfig) -> StateFile:
    network = small_edsr(config)
    return state_file(official(network) if layout == "official" else basicsr(network, blocks=config.blocks)["params"])


@pytest.mark.parametrize("layout", ["official", "basicsr"])
@pytest.mark.parametrize("scale", SCALES)
def test_both_layouts_come_back_as_the_network_they_were_saved_from(layout: str, scale: int) -> None:
    config = small_config(scale, blocks=3, features=6)
    imported = import_published(published(layout, config), Options(scale=scale))
    assert imported.config == config
    saved = small_edsr(config)
    assert all(torch.equal(tensor, imported.network.state_dict()[name]) for name, tensor in saved.state_dict().items())
    with torch.no_grad():  # equal weights at other addresses may be summed in another order
        torch.testing.assert_close(imported.network(pixels()), saved(pixels()), rtol=1e-6, atol=1e-3)


def test_a_network_for_pixels_in_0_to_1_is_converted() -> None:
    config = small_config(2)
    imported = import_published(state_file(in_0_to_1(official(small_edsr(config)))))
    assert imported.provenance["imported_from"]["value_range"] == 1
    with torch.no_grad():
        answer, expected = imported.network(pixels()), small_edsr(config)(pixels())
    assert (answer - expected).abs().max() < 1e-5 * expected.abs().max()


def shapes_only(config: EdsrConfig) -> StateFile:
    """A file of the config's shapes without the time to initialise 43 million weights."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in config.build().state_dict().items()}
    own = {name: tensor for name, tensor in small_edsr(small_config(2)).state_dict().items() if "mean" in name}
    return state_file({name: own.get(name, torch.zeros(1).expand(shape)) for name, shape in shapes.items()})


@pytest.mark.parametrize(
    ("blocks", "features", "residual_scale", "warned"),
    [(16, 64, 1.0, False), (32, 256, 0.1, False), (8, 64, 1.0, True), (32, 64, 1.0, True)],
    ids=["baseline", "full", "8x64", "32x64"],
)
def test_the_residual_scale_follows_the_published_sizes_and_anything_else_is_warned_about(
    blocks: int, features: int, residual_scale: float, warned: bool
) -> None:
    imported = import_published(shapes_only(EdsrConfig(2, blocks=blocks, features=features)))
    assert imported.config == EdsrConfig(2, blocks=blocks, features=features, residual_scale=residual_scale)
    assert bool(imported.warnings) == warned
    if warned:
        assert "--residual-scale" in imported.warnings[0]


def test_a_given_residual_scale_wins_and_needs_no_warning() -> None:
    imported = import_published(published("official", small_config(2)), Options(residual_scale=0.25))
    assert imported.config == small_config(2, residual_scale=0.25)
    assert not imported.warnings


def test_the_provenance_says_where_the_weights_come_from() -> None:
    provenance = import_published(published("basicsr", small_config(2)), Options(licence="MIT")).provenance
    assert provenance["imported_from"] == {
        "file": "published.pt",
        "sha256": "0" * 64,
        "layout": "basicsr",
        "value_range": 255,
    }
    assert provenance["licence"] == "MIT"
    assert provenance["sources"] == [{"name": "published.pt", "licence": "MIT"}]


def changed(**tensors: Any) -> dict[str, Tensor]:  # noqa: ANN401 - a tensor, or None to leave one out
    result = official(small_edsr(small_config(2))) | {name.replace("__", "."): value for name, value in tensors.items()}
    return {name: value for name, value in result.items() if value is not None}


def basicsr_changed(**tensors: Tensor) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = basicsr(small_edsr(small_config(2)), blocks=2)["params"]
    return renamed | {name.replace("__", "."): value for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (changed(head__0__weight=torch.zeros(64)), "no first convolution and body"),
        (basicsr_changed(conv_first__weight=torch.zeros(8)), "no first convolution and body"),
        (basicsr_changed(conv_hr__weight=torch.zeros(1)), r"left over: conv_hr\.weight"),
        (basicsr_changed(head__0__weight=torch.zeros(1)), r"there twice"),
        (changed(head__0__bias=None), r"not a network of the family edsr\. Tensors missing: head\.0\.bias"),
        (changed(body__9999999__body__0__weight=torch.zeros(1)), "no first convolution and body"),
        (changed(tail__1__bias=torch.zeros(4)), r"of another shape: tail\.1\.bias"),
        (changed(tail__0__0__weight=torch.zeros(128, 8, 3, 3)), r"channel factors \[16\.0\]"),
        (changed(tail__0__0__weight=torch.zeros(())), "channel factors"),
        (changed(sub_mean__weight=torch.ones(3, 3, 1, 1)), r"sub_mean\.weight.*more than shift"),
        (changed(sub_mean__bias=torch.tensor([-104.0, -117.0, -123.0])), r"sub_mean\.bias.*more than shift"),
        (changed(add_mean__bias=torch.zeros(3)), r"more than shift"),
    ],
    ids=[
        "no-convolution",
        "no-convolution-basicsr",
        "left-over",
        "two-names",
        "missing",
        "absurd-index",
        "misshapen",
        "x4-in-one-step",
        "scalar",
        "mixed-colours",
        "another-mean",
        "no-mean",
    ],
)
def test_what_is_not_an_edsr_is_refused_with_what_did_not_fit(tensors: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason):
        import_published(state_file(tensors))


def test_another_scale_than_asked_for_is_refused() -> None:
    with pytest.raises(ImportRefused, match="for x2, not for x4"):
        import_published(published("official", small_config(2)), Options(scale=4))
