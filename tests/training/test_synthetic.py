"""Made motion is what it says, and its LR is the papers' bicubic bit for bit."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from training.data import PixelTable
from training.metrics import luma
from training.resize import downscale, reach
from training.synthetic import MotionSampler, shrink

CPU = torch.device("cpu")


def sampler(scale: int, frames: int = 3, speed: float = 2.0) -> MotionSampler:
    table = PixelTable.of([astronaut()], CPU)
    return MotionSampler(table, scale=scale, frames=frames, speed=speed, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_patchs_lr_is_that_of_the_whole_frame(scale: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (12 * scale, 12 * scale), dtype=np.uint8)
    border = 4 * scale - reach(scale)
    crop = torch.from_numpy(frame[border : border + 5 * scale + 2 * reach(scale)][:, border:]).float()
    crop = crop[:, : 5 * scale + 2 * reach(scale)]
    assert np.array_equal(shrink(crop[None, None], scale)[0, 0].numpy(), downscale(frame, scale)[4:9, 4:9])


def test_shapes_and_ranges() -> None:
    lr, hr = sampler(3, frames=5).batch(4, 8)
    assert lr.shape == (4, 5, 8, 8)
    assert hr.shape == (4, 1, 24, 24)
    for pixels in (lr, hr):
        assert torch.equal(pixels, pixels.round())
        assert float(pixels.min()) >= 0
        assert float(pixels.max()) <= 255


def test_the_middle_frame_stays_and_the_others_move_at_one_velocity() -> None:
    paths = sampler(4, frames=5, speed=3.0).paths(200)
    assert paths.shape == (2, 5, 200)
    assert not paths[:, 2].any()
    assert int(paths[:, 3].abs().max()) <= 3 * 4 + 1
    assert (paths[:, 4] - 2 * paths[:, 3]).abs().max() <= 4  # rounding and a pixel of shake each
    assert (paths[:, 3] + paths[:, 1]).abs().max() <= 2
    assert len(paths[0, 3].unique()) > 15


def test_still_photographs_differ_by_the_shake_alone() -> None:
    still = sampler(2, speed=0.0)
    still.paths = lambda size: torch.zeros(2, 3, size, dtype=torch.long)  # type: ignore[method-assign]
    lr, _ = still.batch(3, 8)
    assert torch.equal(lr[:, 0], lr[:, 1])
    assert torch.equal(lr[:, 2], lr[:, 1])


def test_a_motion_of_one_lr_pixel_shifts_the_lr_by_one_pixel() -> None:
    moving = sampler(2)
    paths = torch.zeros(2, 3, 6, dtype=torch.long)
    paths[1, 2] = 2  # two HR pixels to the right
    moving.paths = lambda size: paths  # type: ignore[method-assign]
    moving.table = PixelTable.of([astronaut()], CPU)
    lr, hr = moving.batch(6, 10)
    shifts = [
        torch.equal(lr[n, 2, rows_to, columns_to], lr[n, 1, rows_from, columns_from])
        for n in range(6)
        for rows_to, columns_to, rows_from, columns_from in [matching(lr[n])]
    ]
    assert all(shifts)
    assert hr.shape == (6, 1, 20, 20)


def matching(window: torch.Tensor) -> tuple[slice, slice, slice, slice]:
    """Which of the four directions the turned motion points in: slices of the third frame and the middle one."""
    whole, first, last = slice(None), slice(None, -1), slice(1, None)
    choices = [
        (whole, first, whole, last),
        (whole, last, whole, first),
        (first, whole, last, whole),
        (last, whole, first, whole),
    ]
    return min(choices, key=lambda c: float((window[2, c[0], c[1]] - window[1, c[2], c[3]]).abs().sum()))


def test_luma_is_rounded_as_a_video_stores_it() -> None:
    _, hr = sampler(2).batch(1, 4)
    values = set(np.rint(luma(astronaut())).flatten().tolist())
    assert set(hr.flatten().tolist()) <= values
