"""MDSR in the official layout and in a published compact one, for all three scales."""

import pytest
import torch
from torch import Tensor

from export.errors import ImportRefused
from export.importers import Imported, Options, import_published
from models import MdsrConfig
from models.mdsr import Mdsr
from tests.export.importers.examples import CompactMdsr, in_0_to_1, lively, official, pixels, state_file

CONFIG = MdsrConfig(blocks=3, features=4)


@pytest.fixture(scope="module")
def network() -> Mdsr:
    return lively(CONFIG.build())


def answer(imported: Imported, lr: Tensor, scale: int) -> Tensor:
    sr: Tensor = imported.config.at_scale(imported.network, scale)(lr)
    return sr


@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.no_grad()
def test_the_official_layout_comes_back_as_the_network_it_was_saved_from(network: Mdsr, scale: int) -> None:
    imported = import_published(state_file(official(network)), Options(scale=scale))
    assert imported.config == CONFIG
    assert imported.provenance["imported_from"]["layout"] == "mdsr-pytorch"
    assert torch.equal(answer(imported, pixels(), scale), network(pixels(), scale))


@torch.no_grad()
def test_a_network_for_pixels_in_0_to_1_is_converted(network: Mdsr) -> None:
    imported = import_published(state_file(in_0_to_1(official(network), last="tail.0")))
    expected = network(pixels(), 3)
    assert imported.provenance["imported_from"]["value_range"] == 1
    assert (answer(imported, pixels(), 3) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.no_grad()
def test_the_compact_layout_takes_rgb_after_import_and_answers_what_it_did_in_bgr(scale: int) -> None:
    published = lively(CompactMdsr())
    imported = import_published(state_file(official(published)))
    assert imported.config == MdsrConfig(blocks=2, features=4, residual_scale=0.1, compact=True)
    expected = published(pixels().flip(1), scale).flip(1)
    assert (answer(imported, pixels(), scale) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_given_residual_scale_wins(network: Mdsr) -> None:
    for published in (network, CompactMdsr()):
        imported = import_published(state_file(official(published)), Options(residual_scale=0.5))
        assert isinstance(imported.config, MdsrConfig)
        assert imported.config.residual_scale == 0.5


def test_another_scale_is_refused(network: Mdsr) -> None:
    with pytest.raises(ImportRefused, match="is for x2, x3, x4, not for x8"):
        import_published(state_file(official(network)), Options(scale=8))


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("pre_process.2.1.body.2.bias", r"family mdsr\. Tensors missing: pre_process\.2\.1\.body\.2\.bias"),
        ("upsample.1.0.weight", r"missing: upsample\.1\.0\.weight"),
        ("add_mean.bias", r"missing: add_mean\.bias"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_refused(network: Mdsr, missing: str, reason: str) -> None:
    tensors = official(network)
    del tensors[missing]
    with pytest.raises(ImportRefused, match=reason):
        import_published(state_file(tensors))
