"""Colour around a luma network: the network sees the papers' Y, and chroma is bicubic's, up to the corners."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from export.luma import REACH, LumaInColour
from export.photographs import centre_crop, moving, photographs
from training.metrics import luma

SCALES = (2, 3, 4)


def planes(picture: NDArray[np.uint8]) -> Tensor:
    """[..., H, W, 3] to float32 [1, ..., 3, H, W], still in 0..255."""
    return torch.from_numpy(np.moveaxis(picture, -1, -3).astype(np.float32))[np.newaxis]


def bicubic(plane: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Pillow's, which is Keys' a = -0.5 too, with the border repeated so far that its own rule for borders is idle."""
    around = np.pad(plane, 4, mode="edge")
    height, width = (side * scale for side in around.shape)
    larger = Image.fromarray(around.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(larger, np.float64)[4 * scale : -4 * scale, 4 * scale : -4 * scale]


@pytest.mark.parametrize("pixel_range", [255.0, 1.0])
def test_the_network_sees_the_luma_that_the_papers_measure(pixel_range: float) -> None:
    picture = centre_crop(photographs()["coffee"], 20, 31)
    colour = LumaInColour(2, pixel_range=pixel_range, luma_range=1.0)
    seen = colour.before(planes(picture) * (pixel_range / 255))
    assert seen.shape == (1, 1, 20, 31)
    assert np.abs(seen[0, 0].numpy() - luma(picture) / 255).max() < 1e-6


def test_of_a_window_the_network_sees_every_frame_in_order() -> None:
    window = moving(centre_crop(photographs()["coffee"], 30), 3, (2, 1))
    seen = LumaInColour(2, pixel_range=255.0, luma_range=1.0).before(planes(window))
    assert seen.shape == (1, 3, 26, 28)
    for frame in range(3):
        assert np.abs(seen[0, frame].numpy() - luma(window[frame]) / 255).max() < 1e-6


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2), (20, 31)], ids=str)
def test_chroma_is_bicubic_and_luma_is_the_networks(scale: int, size: tuple[int, int]) -> None:
    """The whole answer in the language of the standard: Y from the network, Cb and Cr enlarged, then the inverse."""
    picture = centre_crop(photographs()["coffee"], *size)
    sr_luma = np.random.default_rng(0).uniform(-30, 290, [side * scale for side in size])  # beyond black and white too
    answer = LumaInColour(scale, pixel_range=255.0, luma_range=1.0).after(
        torch.from_numpy(sr_luma / 255).float()[np.newaxis, np.newaxis], planes(picture)
    )
    to_ycc = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
    ycc = np.einsum("oc,hwc->ohw", to_ycc, picture)
    enlarged = np.stack([sr_luma - 16, bicubic(ycc[1], scale), bicubic(ycc[2], scale)])
    expected = np.einsum("oc,chw->ohw", np.linalg.inv(to_ycc), enlarged)
    assert np.abs(answer[0].numpy() - expected).max() < 0.01  # the standard's own coefficients have three decimals


def test_a_windows_colour_is_its_middle_frames() -> None:
    window = moving(centre_crop(photographs()["coffee"], 30), 3, (2, 1))
    colour = LumaInColour(2, pixel_range=255.0, luma_range=1.0)
    sr_luma = torch.rand(1, 1, 52, 56)
    of_window, of_middle = (colour.after(sr_luma, planes(pixels)) for pixels in (window, window[1]))
    assert torch.equal(of_window, of_middle)
    assert not torch.equal(of_window, colour.after(sr_luma, planes(window[0])))


@pytest.mark.parametrize("scale", SCALES)
def test_chroma_reaches_two_pixels_and_no_farther(scale: int) -> None:
    pixels = torch.zeros(1, 3, 11, 11, requires_grad=True)
    answer = LumaInColour(scale, pixel_range=255.0, luma_range=1.0).after(
        torch.zeros(1, 1, 11 * scale, 11 * scale), pixels
    )
    cell = (
        answer[0, 0, 5 * scale : 6 * scale, 5 * scale : 6 * scale].square().sum()
        + answer[0, 0, 5 * scale : 6 * scale, 5 * scale : 6 * scale].sum()
    )
    (gradient,) = torch.autograd.grad(cell, pixels)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert (int(rows.min()), int(rows.max())) == (5 - REACH, 5 + REACH)
