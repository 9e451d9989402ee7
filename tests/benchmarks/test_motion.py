"""What motion compensation is worth is measured on windows, neighbour by neighbour."""

import numpy as np
import pytest
import torch

from benchmarks.motion import measure_warping
from models import VespcnConfig
from models.vespcn import Vespcn
from training.frames import Clip


def network() -> Vespcn:
    torch.manual_seed(0)
    return VespcnConfig(2, layers=3, features=8).build().eval()


def clip(*values: int) -> Clip:
    """Flat frames of these values, one window."""
    lr = [np.full((12, 16), value, np.uint8) for value in values]
    return Clip(lr, [frame.repeat(2, axis=0).repeat(2, axis=1) for frame in lr], np.arange(len(values))[None])


def test_an_untrained_network_moves_nothing() -> None:
    warping = measure_warping(network(), clip(10, 20, 50))
    assert warping.still == pytest.approx((10**2 + 30**2) / 2 / 255**2)
    assert warping.ratio == pytest.approx(1)
    assert warping.flow == 0


def test_a_true_flow_takes_the_error_away() -> None:
    vespcn = network()
    assert vespcn.motion is not None
    last = [layer for layer in vespcn.motion.coarse if isinstance(layer, torch.nn.Conv2d)][-1]
    with torch.no_grad():  # a flow of two pixels to the right, everywhere
        last.bias.view(2, -1)[0] = torch.atanh(torch.tensor(2 / 16.5))  # type: ignore[union-attr]
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (12, 1))
    moved = [ramp, np.roll(ramp, -2, axis=1), ramp]
    moved[1][:, -2:] = 150
    found = measure_warping(vespcn, Clip(moved, [], np.array([[0, 1, 2]])))
    assert found.flow == pytest.approx(1.0, abs=1e-3)  # the mean of both components
    assert found.ratio > 100


def test_without_motion_compensation_there_is_nothing_to_measure() -> None:
    vespcn = VespcnConfig(2, layers=3, features=8, motion=False).build()
    with pytest.raises(ValueError, match="no motion compensation"):
        measure_warping(vespcn, clip(1, 2, 3))
