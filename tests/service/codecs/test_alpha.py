"""What transparency hides is filled from what is visible beside it; what can be seen is never touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs import alpha as alpha_module
from service.codecs import decode, read_header
from service.codecs.alpha import REACH, fill_hidden_colour
from tests.service.codecs.samples import Pixels, saved


def ring_by_ring(colour: Pixels, alpha: Pixels) -> Pixels:
    """The same rule, one pixel at a time."""
    out = colour.astype(np.int64)
    known = alpha > 0
    mean = out[known].sum(axis=0) // max(1, int(known.sum()))
    for _ in range(REACH):
        found = {}
        for row, column in zip(*np.nonzero(~known), strict=True):
            window = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
            beside = known[window]
            if beside.any():
                count = int(beside.sum())
                found[row, column] = (out[window][beside].sum(axis=0) + count // 2) // count
        for place, value in found.items():
            out[place] = value
            known[place] = True
    out[~known] = mean
    return out.astype(colour.dtype)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), share=st.sampled_from([0.02, 0.5, 0.98]), deep=st.booleans(), size=st.integers(1, 12)
)
def test_the_fill_is_the_mean_of_visible_neighbours_ring_by_ring(
    seed: int, share: float, deep: bool, size: int
) -> None:
    random = np.random.default_rng(seed)
    dtype = np.uint16 if deep else np.uint8
    colour: Pixels = random.integers(0, 65_536 if deep else 256, (size, 9, 3)).astype(dtype)
    alpha: Pixels = ((random.random((size, 9)) < share) * 200).astype(dtype)
    expected = ring_by_ring(colour, alpha)
    fill_hidden_colour(colour, alpha)
    np.testing.assert_array_equal(colour, expected)


def test_visible_colour_is_untouched_however_faint() -> None:
    random = np.random.default_rng(0)
    colour = random.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    alpha = random.integers(0, 3, (40, 40)).astype(np.uint8)
    before = colour.copy()
    fill_hidden_colour(colour, alpha)
    np.testing.assert_array_equal(colour[alpha > 0], before[alpha > 0])


def test_no_dark_fringe_is_left_beside_an_edge() -> None:
    colour = np.zeros((64, 64, 3), np.uint8)
    alpha = np.zeros((64, 64), np.uint8)
    colour[16:48, 16:48] = (250, 200, 10)
    alpha[16:48, 16:48] = 255
    fill_hidden_colour(colour, alpha)
    assert (colour == (250, 200, 10)).all()


def test_beyond_reach_the_mean_of_the_visible_stands() -> None:
    colour = np.zeros((1, 200, 3), np.uint8)
    colour[0, :2] = ((0, 0, 0), (100, 50, 200))
    alpha = np.zeros((1, 200), np.uint8)
    alpha[0, :2] = 255
    fill_hidden_colour(colour, alpha)
    assert colour[0, 1 + REACH].tolist() == [100, 50, 200]
    assert colour[0, 2 + REACH].tolist() == [50, 25, 100]


def test_a_picture_without_anything_visible_becomes_black() -> None:
    colour = np.full((5, 5, 3), 77, np.uint8)
    fill_hidden_colour(colour, np.zeros((5, 5), np.uint8))
    assert not colour.any()


def test_strips_make_what_the_whole_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    colour = random.integers(0, 65_536, (300, 40, 3)).astype(np.uint16)
    alpha = (random.random((300, 40)) < 0.003).astype(np.uint16)
    whole, strips = colour.copy(), colour.copy()
    fill_hidden_colour(whole, alpha)
    monkeypatch.setattr(alpha_module, "_STRIP_PIXELS", 40 * REACH)
    fill_hidden_colour(strips, alpha)
    np.testing.assert_array_equal(strips, whole)


def test_decoding_fills() -> None:
    stored = np.zeros((8, 8, 4), np.uint8)
    stored[:, :4] = (10, 20, 30, 255)
    data = saved(stored, "PNG")
    image = decode(data, read_header(data))
    assert (image.colour == (10, 20, 30)).all()
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, stored[..., 3])
