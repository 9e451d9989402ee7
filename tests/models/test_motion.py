"""Motion compensation: the paper's networks, and a warp whose flow means pixels."""

import math

import pytest
import torch
from torch import Tensor, nn

from models.config import count_parameters
from models.motion import MACS_PER_LR_PIXEL, MotionCompensation, warp


def uniform_flow(right: float, down: float, height: int, width: int) -> Tensor:
    return torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, height, width)


def says(network: MotionCompensation, *, coarse: float, fine: float) -> MotionCompensation:
    """The network made to answer one displacement everywhere, as shares of `max_disp`, both ways alike."""
    for flow, share in ((network.coarse, coarse), (network.fine, fine)):
        list(flow.parameters())[-1].data.fill_(math.atanh(share))  # the bias before tanh
    return network


def test_counts_are_the_papers() -> None:
    network = MotionCompensation()
    assert count_parameters(network.coarse) == 33_008
    assert count_parameters(network.fine) == 20_384
    assert MACS_PER_LR_PIXEL == 3_252 + 5_070


def test_no_flow_changes_nothing() -> None:
    frame = torch.rand(2, 3, 9, 14)
    assert torch.allclose(warp(frame, torch.zeros(2, 2, 9, 14)), frame, atol=1e-6)


def test_flow_points_to_where_a_pixel_is_found() -> None:
    frame = torch.arange(12.0).view(1, 1, 3, 4)
    right = warp(frame, uniform_flow(1, 0, 3, 4))
    down = warp(frame, uniform_flow(0, 1, 3, 4))
    assert torch.allclose(right[0, 0], torch.tensor([[1.0, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]), atol=1e-5)
    assert torch.allclose(down[0, 0], torch.tensor([[4.0, 5, 6, 7], [8, 9, 10, 11], [8, 9, 10, 11]]), atol=1e-5)


def test_between_pixels_the_warp_is_bilinear() -> None:
    frame = torch.tensor([[0.0, 4.0], [8.0, 20.0]]).view(1, 1, 2, 2)
    warped = warp(frame, uniform_flow(0.25, 0.5, 2, 2))
    top, bottom = 0.75 * 0 + 0.25 * 4, 0.75 * 8 + 0.25 * 20
    assert warped[0, 0, 0, 0].item() == pytest.approx((top + bottom) / 2, abs=1e-5)


@pytest.mark.parametrize("width", [16, 17, 640], ids=str)
def test_a_pixel_of_flow_is_a_pixel_at_every_size(width: int) -> None:
    ramp = torch.arange(float(width)).view(1, 1, 1, width).expand(1, 1, 4, width)
    warped = warp(ramp, uniform_flow(2.5, 0, 4, width))
    assert torch.allclose(warped[..., : width - 3], ramp[..., : width - 3] + 2.5, atol=1e-3)


def test_half_precision_frames_keep_their_places() -> None:
    """Half precision cannot tell 2049 from 2048; the places are float32."""
    frame = (torch.arange(3000) % 2).to(torch.float16).view(1, 1, 1, 3000).expand(1, 1, 2, 3000)
    warped = warp(frame, torch.zeros(1, 2, 2, 3000, dtype=torch.float16))
    assert warped.dtype == torch.float16
    assert torch.allclose(warped, frame, atol=1e-2)


def test_an_untrained_network_leaves_the_neighbour_where_it_is() -> None:
    centre, neighbour = torch.rand(2, 2, 1, 13, 10)
    result = MotionCompensation()(centre, neighbour)
    assert result.flow.abs().max() == 0
    assert torch.allclose(result.warped, neighbour, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(33, 33), (4, 7), (1, 1), (32, 48)], ids=str)
def test_any_size_gives_flow_and_frame_of_that_size(height: int, width: int) -> None:
    result = MotionCompensation()(*torch.rand(2, 2, 1, height, width))
    assert result.warped.shape == (2, 1, height, width)
    assert result.flow.shape == result.coarse_flow.shape == (2, 2, height, width)


def test_each_network_says_up_to_max_disp_pixels() -> None:
    network = says(MotionCompensation(max_disp=10.0), coarse=0.5, fine=-0.2)
    result = network(*torch.rand(2, 1, 1, 21, 22))
    assert torch.allclose(result.coarse_flow, torch.tensor(5.0), atol=1e-5)
    assert torch.allclose(result.flow, torch.tensor(3.0), atol=1e-5)


def test_the_neighbour_is_warped_once_by_the_total_flow() -> None:
    network = says(MotionCompensation(max_disp=10.0), coarse=0.5, fine=-0.3)
    centre, neighbour = torch.rand(2, 1, 1, 24, 24)
    expected = torch.zeros_like(neighbour)
    expected[..., :22, :22] = neighbour[..., 2:, 2:]
    assert torch.allclose(network(centre, neighbour).warped[..., :22, :22], expected[..., :22, :22], atol=1e-4)


def test_the_fine_network_sees_what_the_coarse_one_did() -> None:
    network = says(MotionCompensation(max_disp=8.0), coarse=0.25, fine=0.0)
    seen: list[Tensor] = []
    network.fine.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    centre, neighbour = torch.rand(2, 1, 1, 16, 16)
    network(centre, neighbour)
    roughly = warp(neighbour, uniform_flow(2, 2, 16, 16))
    expected = torch.cat([centre, neighbour, roughly, torch.full((1, 2, 16, 16), 0.25)], dim=1)
    assert torch.allclose(seen[0], expected, atol=1e-5)


def test_it_learns_a_shift() -> None:
    torch.manual_seed(0)
    scene = nn.functional.interpolate(torch.rand(1, 1, 7, 7), size=(34, 34), mode="bicubic")
    centre, neighbour = scene[..., 1:33, 1:33], scene[..., 1:33, :32]  # each pixel lies one column further right
    network = MotionCompensation(max_disp=4.0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    errors = []
    for _ in range(40):
        result = network(centre, neighbour)
        loss = (result.warped - centre)[..., 2:-2, 2:-2].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 4
    assert result.flow[:, 0].mean().item() == pytest.approx(1.0, abs=0.5)
