"""An SRResNet that begins as an EDSR gives its pixels; a VESPCN that begins as its single-frame network gives its."""

from typing import Literal

import pytest
import torch

from models import EdsrConfig, NetworkConfig, SrresnetConfig, VespcnConfig
from models.edsr import Edsr
from models.srresnet import Srresnet
from training.warm import begin_as_edsr, begin_as_single_frame, keep_statistics

SIZE = {"blocks": 2, "features": 8}


def edsr(scale: int, **options: float) -> Edsr:
    torch.manual_seed(0)
    return EdsrConfig(scale, **{**SIZE, **options}).build().eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("options", [{}, {"prelu": "channel", "conv_bias": True}], ids=["paper", "options"])
@pytest.mark.parametrize("residual_scale", [1.0, 0.1])
@torch.no_grad()
def test_away_from_the_border_the_answers_are_equal(
    scale: int, options: dict[str, object], residual_scale: float
) -> None:
    given = edsr(scale, residual_scale=residual_scale)
    network: Srresnet = SrresnetConfig(scale, **SIZE, **options).build()  # type: ignore[arg-type]
    photographs = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    begin_as_edsr(network, given, photographs)
    margin = 12 * scale
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    answer, expected = network.eval()(photographs), given(photographs * 255) / 255
    torch.testing.assert_close(answer[inner], expected[inner], rtol=0, atol=1e-4)


@torch.no_grad()
def test_statistics_of_the_same_pixels_change_nothing() -> None:
    network: Srresnet = SrresnetConfig(2, **SIZE).build()  # type: ignore[arg-type]
    photographs = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    begin_as_edsr(network, edsr(2), photographs)
    in_use = network.eval()(photographs)
    in_training = network.train()(photographs)
    torch.testing.assert_close(in_training, in_use, rtol=0, atol=2e-2)  # variances with and without Bessel's correction


def test_kept_statistics_stay_while_all_parameters_learn() -> None:
    network: Srresnet = SrresnetConfig(2, **SIZE).build()  # type: ignore[arg-type]
    begin_as_edsr(network, edsr(2), torch.rand(2, 3, 16, 16))
    keep_statistics(network)
    before = {name: value.clone() for name, value in network.named_buffers()}
    photographs = torch.rand(1, 3, 12, 12) * 0.1
    answer = network.train()(photographs)
    torch.testing.assert_close(answer, network.eval()(photographs))
    answer.square().mean().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    "other", [EdsrConfig(2, blocks=3, features=8), EdsrConfig(4, **SIZE), EdsrConfig(2, blocks=2, features=4)]
)
def test_another_size_is_refused(other: EdsrConfig) -> None:
    network: Srresnet = SrresnetConfig(2, **SIZE).build()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is no start for"):
        begin_as_edsr(network, other.build(), torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("frames", [3, 5])
@torch.no_grad()
def test_a_vespcn_begins_with_the_single_frame_networks_answers(frames: Literal[3, 5]) -> None:
    torch.manual_seed(0)
    single = VespcnConfig(2, frames=1, layers=4, features=8, motion=False).build()
    network = VespcnConfig(2, frames=frames, layers=4, features=8).build()
    begin_as_single_frame(network, single)
    clip = torch.rand(2, frames, 16, 16)
    middle = clip[:, frames // 2 : frames // 2 + 1]
    torch.testing.assert_close(network(clip), single(middle), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (VespcnConfig(2, layers=4, features=8), "of a single frame"),
        (VespcnConfig(2, frames=1, layers=4, features=6, motion=False), "other layers"),
        (EdsrConfig(2, blocks=1, features=8), "of a single frame"),
    ],
)
def test_a_vespcn_does_not_begin_as_another_network(given: NetworkConfig, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        begin_as_single_frame(VespcnConfig(2, layers=4, features=8).build(), given.build())
