"""The rewritten SRResNet is the original: at every size, whatever its slopes, on random and on published weights."""

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from export.importers import import_published, read_state_file
from export.photographs import centre_crop, photographs
from export.polyphase import DepthwisePrelu, PolyphaseSrresnet
from export.rewrite import rewritten
from models import SrganConfig, SrresnetConfig
from models.srresnet import Srresnet
from tests.data_folder import require
from tests.models.cases import randomised

TOLERANCE = 1e-5  # share of the full range, or of the largest value where that is larger
SIZES = (*itertools.product(range(1, 6), range(1, 6)), (1, 17), (16, 1), (13, 8))
OPTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "channels": {"prelu": "channel", "conv_bias": True},
    "tanh": {"tanh": True, "up_features": 6},
}


def network(scale: int = 4, *, low: float = -0.5, high: float = 1.0, **options: object) -> Srresnet:
    """Random weights, statistics and slopes in `low` to `high`."""
    config = SrresnetConfig(scale, blocks=2, features=4, **options)  # type: ignore[arg-type] # the tests' own options
    made = randomised(config.build()).eval()
    assert isinstance(made, Srresnet)
    for layer in made.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, low, high)
    return made


@torch.inference_mode()
def check(original: Srresnet, lr: torch.Tensor) -> None:
    expected = original(lr)
    worst = (PolyphaseSrresnet(original).eval()(lr) - expected).abs().max()
    assert worst <= TOLERANCE * max(1.0, float(expected.abs().max())), lr.shape


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_pixel_is_the_originals_at_every_size(scale: int, options: dict[str, Any]) -> None:
    original = network(scale, **options)
    for height, width in SIZES:
        check(original, torch.rand(2, 3, height, width))


def test_a_slope_above_one_is_right_too() -> None:
    original = network(low=0.5, high=1.5, prelu="channel")
    kinds = [type(module) for module in PolyphaseSrresnet(original).modules()]
    assert DepthwisePrelu not in kinds
    check(original, torch.rand(1, 3, 9, 7))


def test_slopes_of_at_most_one_are_convolutions() -> None:
    kinds = [type(module) for module in PolyphaseSrresnet(network(high=1.0)).modules()]
    assert kinds.count(DepthwisePrelu) == 1 + 2 + 2  # head, blocks, doublings
    assert nn.PReLU not in kinds


def test_the_last_layer_has_the_same_weights_in_another_order() -> None:
    original = network(tanh=True)
    merged = PolyphaseSrresnet(original).polyphase.weight
    assert merged.shape == (12, 16, 5, 5)
    for phase in range(4):  # each SR pixel of a block sees all taps, and nothing else
        taps = merged[phase::4].abs()
        torch.testing.assert_close(taps.sum(), original.tail.weight.abs().sum())
        assert int((taps > 0).sum()) == original.tail.weight.numel()


def test_the_original_stays_as_it_was_and_its_tensors_are_shared() -> None:
    original = network()
    before = [type(module) for module in original.modules()]
    own, given = PolyphaseSrresnet(original).state_dict(), original.state_dict()
    assert [type(module) for module in original.modules()] == before
    assert all(own[name].data_ptr() == given[name].data_ptr() for name in given)
    assert {name.rpartition(".")[2] for name in own.keys() - given.keys()} == {"weight", "bias", "slope", "rest"}


def test_srgan_is_rewritten_and_what_is_padded_by_reflection_is_not() -> None:
    assert isinstance(rewritten(SrganConfig(4, blocks=1, features=4).build()), PolyphaseSrresnet)
    reflecting = network(padding="reflect")
    assert rewritten(reflecting) is reflecting
    with pytest.raises(ValueError, match="'reflect'"):
        PolyphaseSrresnet(reflecting)


@pytest.mark.data
@pytest.mark.parametrize("name", ["srresnet16x64_x4_krasserm.pt", "srgan16x64_x4_krasserm.pt"])
def test_published_weights_give_the_originals_pixels(name: str) -> None:
    published = import_published(read_state_file(require("weights", name))).network.eval()
    assert isinstance(published, Srresnet)
    photograph = torch.from_numpy(centre_crop(photographs()["chelsea"], 33)).permute(2, 0, 1)[None].float() / 255
    for height, width in [(1, 1), (5, 4), (33, 24)]:
        check(published, photograph[..., :height, :width])
