"""A network that begins as interpolation answers with just that, and learns in all its layers."""

from typing import Literal

import pytest
import torch

from models import (
    EdsrConfig,
    EspcnConfig,
    H2lConfig,
    L2hConfig,
    NetworkConfig,
    SrganConfig,
    SrresnetConfig,
    VespcnConfig,
)
from training.begin import begin_as_bilinear, bilinear_taps
from training.warm import keep_statistics

SCALES = (2, 3, 4)


def interpolated(frame: torch.Tensor, scale: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(frame, scale_factor=scale, mode="bilinear", align_corners=False)


def built(config: NetworkConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    network = config.build()
    begin_as_bilinear(network)
    return network


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("frames", [1, 3, 5])
@torch.no_grad()
def test_vespcn_begins_with_its_middle_frame(scale: int, frames: int) -> None:
    network = built(VespcnConfig(scale, frames=frames, motion=frames > 1))
    clip = torch.rand(2, frames, 13, 17)
    middle = clip[:, frames // 2 : frames // 2 + 1]
    margin = scale * 2  # zero padding is not a repeated border
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(network(clip)[inner], interpolated(middle, scale)[inner], rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_espcn_begins_within_what_tanh_bends(scale: int) -> None:
    network = built(EspcnConfig(scale))
    luma = torch.rand(2, 1, 13, 17)
    margin = scale * 4
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(network(luma)[inner], interpolated(luma, scale)[inner], rtol=0, atol=0.006)


@pytest.mark.parametrize("config", [SrresnetConfig(4, blocks=2, features=8), SrganConfig(2, blocks=1, features=8)])
@torch.no_grad()
def test_srresnet_begins_as_repeated_doubling(config: SrresnetConfig) -> None:
    network = built(config)
    colours = torch.rand(2, 3, 13, 17)
    expected = colours
    for _ in range(config.scale.bit_length() - 1):
        expected = interpolated(expected, 2)
    margin = config.scale * 3
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    for training in (True, False):
        network.train(training)
        torch.testing.assert_close(network(colours)[inner], expected[inner], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [EspcnConfig(3), VespcnConfig(3, motion=False), SrresnetConfig(2, blocks=1, features=8)],
    ids=lambda config: config.family,
)
def test_every_layer_learns_from_the_second_step_on(config: NetworkConfig) -> None:
    network = built(config)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        loss = (network(torch.rand(2, config.input_channels, 12, 12)) - 0.3).square().mean()
        loss.backward()
        optimiser.step()
    still = [name for name, parameter in network.named_parameters() if not _moves(parameter)]
    assert still == []


def _moves(parameter: torch.nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.count_nonzero())


@pytest.mark.parametrize("scale", SCALES)
def test_taps_add_up_to_one(scale: int) -> None:
    torch.testing.assert_close(bilinear_taps(scale).sum(dim=(1, 2)), torch.ones(scale * scale))


@pytest.mark.parametrize(
    "config", [EdsrConfig(2, blocks=1, features=8), VespcnConfig(3, fusion="slow")], ids=lambda config: config.family
)
def test_other_networks_are_refused(config: NetworkConfig) -> None:
    with pytest.raises(TypeError, match="cannot begin as bilinear"):
        begin_as_bilinear(config.build())


@pytest.mark.parametrize("upsampling", ["released", "equivariant"])
@torch.no_grad()
def test_low_to_high_begins_as_repeated_doubling_within_two_grey_levels(
    upsampling: Literal["released", "equivariant"],
) -> None:
    config = L2hConfig(upsampling, features=8, narrow_features=8, head_features=32, blocks=2, narrow_blocks=2)
    network = built(config)
    keep_statistics(network)
    colours = torch.rand(2, 3, 16, 16)
    expected = colours
    for _ in range(2):
        expected = torch.nn.functional.interpolate(
            expected, scale_factor=2, mode="bilinear", align_corners=upsampling == "released"
        )
    torch.testing.assert_close(network.train()(colours), expected, rtol=0, atol=2 / 255)


@pytest.mark.parametrize("noise", ["vector", "map"])
@torch.no_grad()
def test_high_to_low_begins_as_means_of_4x4_whatever_the_noise(noise: Literal["vector", "map"]) -> None:
    config = H2lConfig(features=48, noise=noise)
    network = built(config)
    keep_statistics(network)
    colours = torch.rand(2, 3, 64, 64)
    answer = network.train()(colours, torch.randn(config.noise_shape(2, 64, 64)))
    torch.testing.assert_close(answer, torch.nn.functional.avg_pool2d(colours, 4), rtol=0, atol=2 / 255)


@pytest.mark.parametrize(
    ("config", "needed"), [(L2hConfig(head_features=29), "takes 30"), (H2lConfig(features=44), "take 48")]
)
def test_a_generator_too_narrow_for_that_is_refused(config: NetworkConfig, needed: str) -> None:
    with pytest.raises(ValueError, match=needed):
        begin_as_bilinear(config.build())
