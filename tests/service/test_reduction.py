"""Reduction: an antialiased Lanczos, equal to its formula to the rounding; nothing is shifted, and 16 bits stay 16."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.codecs import DecodedImage, Metadata
from service.reduction import box_mean, reduced


def picture(colour: NDArray[Any], alpha: NDArray[Any] | None = None) -> DecodedImage:
    return DecodedImage(colour, alpha, grey=False, metadata=Metadata(), source_format="png")


def noise(height: int, width: int, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def lanczos(samples: NDArray[Any], length: int) -> NDArray[np.float64]:
    """Along the first axis: windowed sinc of 3 lobes, as wide as `length` samples lie apart; its weights sum to 1."""
    ratio = samples.shape[0] / length
    centres = (np.arange(length) + 0.5) * ratio - 0.5
    x = (np.arange(samples.shape[0]) - centres[:, None]) / ratio
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return np.tensordot(weights / weights.sum(axis=1, keepdims=True), samples.astype(np.float64), axes=1)


def passes(image: NDArray[Any], sizes: dict[int, int]) -> NDArray[np.float64]:
    """Both axes, one after the other as `sizes` has them; rounded and clipped between the two, as the answer is."""
    top = np.iinfo(image.dtype).max
    pixels: NDArray[Any] = image
    for axis, length in sizes.items():
        whole = np.floor(pixels + (0.5 + 1e-9))  # halves upward, as Pillow does
        pixels = np.clip(lanczos(whole.swapaxes(0, axis), length).swapaxes(0, axis), 0, top)
    return pixels


@given(
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    shares=st.tuples(st.floats(0.25, 1), st.floats(0.25, 1)),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
@settings(max_examples=80, deadline=None)
def test_it_is_lanczos_to_the_rounding(
    height: int, width: int, shares: tuple[float, float], dtype: type[np.unsignedinteger[Any]]
) -> None:
    image = noise(height, width, dtype)
    size = max(1, round(height * shares[0])), max(1, round(width * shares[1]))
    answer = reduced(picture(image), height=size[0], width=size[1]).colour
    assert answer.dtype == dtype
    assert answer.shape == (*size, 3)
    rows_first, columns_first = passes(image, {0: size[0], 1: size[1]}), passes(image, {1: size[1], 0: size[0]})
    # Half a level, and more only where Pillow's weights, which are whole numbers, round a half between the passes.
    assert min(np.abs(answer - either).max() for either in (rows_first, columns_first)) < 1.2


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255, 65535])
@pytest.mark.parametrize("size", [(30, 40), (29, 27), (15, 20), (11, 10), (1, 1)])
def test_an_even_area_keeps_its_level(level: int, size: tuple[int, int]) -> None:
    even = np.full((30, 40, 3), level, np.uint16 if level > 255 else np.uint8)
    answer = reduced(picture(even, even[..., 0]), height=size[0], width=size[1])
    assert (answer.colour == level).all()
    assert answer.alpha is not None
    assert (answer.alpha == level).all()


def test_channels_and_alpha_are_not_mixed_up_and_the_source_stays() -> None:
    image = noise(24, 36)
    alpha = noise(24, 36)[::-1, :, 0]
    before = image.copy()
    whole = reduced(picture(image, alpha), height=16, width=24)
    for channel in range(3):
        alone = reduced(picture(np.repeat(image[..., channel : channel + 1], 3, axis=2)), height=16, width=24)
        assert np.array_equal(whole.colour[..., channel], alone.colour[..., 0])
    grey = reduced(picture(np.repeat(alpha[..., None], 3, axis=2)), height=16, width=24)
    assert whole.alpha is not None
    assert np.array_equal(whole.alpha, grey.colour[..., 0])
    assert np.array_equal(image, before)


def test_the_picture_is_not_shifted() -> None:
    image = noise(24, 36)
    turned = reduced(picture(np.ascontiguousarray(image[::-1, ::-1])), height=15, width=23).colour[::-1, ::-1]
    assert np.abs(reduced(picture(image), height=15, width=23).colour.astype(int) - turned).max() <= 1


def test_fine_lines_do_not_alias() -> None:
    lines = np.zeros((90, 90, 3), np.uint8)
    lines[:, ::2] = 255  # finer than 40 pixels can show: grey
    inner = reduced(picture(lines), height=40, width=40).colour[:, 4:-4].astype(int)
    assert np.abs(inner - 127.5).max() < 6


@given(height=st.integers(1, 30), width=st.integers(1, 30), factor=st.integers(1, 5))
def test_a_box_mean_is_the_rounded_mean_of_each_box(height: int, width: int, factor: int) -> None:
    plane = noise(height, width, np.uint16)[..., 0]
    means = box_mean(plane, factor)
    assert means.dtype == plane.dtype
    assert means.shape == (-(-height // factor), -(-width // factor))
    for (row, column), mean in np.ndenumerate(means):
        box = plane[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor].astype(int)
        assert mean == (box.sum() + box.size // 2) // box.size
