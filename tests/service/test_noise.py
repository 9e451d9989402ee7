"""Noise is a function of seed and place: the same for a tile as for the whole, and on every machine."""

import hashlib
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.manifest import NOISE_LENGTH
from service.noise import BLOCK, MAX_SEED, Noise
from service.tiling import Tile


def drawn(seed: int, top: int, left: int, height: int, width: int) -> NDArray[np.float32]:
    return Noise(seed, "map").of(Tile(top, left, height, width, top, left, height, width))


@given(top=st.integers(0, 150), left=st.integers(0, 150), height=st.integers(1, 90), width=st.integers(1, 90))
def test_a_tile_draws_what_the_whole_image_has_there(top: int, left: int, height: int, width: int) -> None:
    tile = drawn(5, top, left, height, width)
    assert tile.shape == (height, width, 1)
    assert np.array_equal(tile, drawn(5, 0, 0, 240, 240)[top : top + height, left : left + width])


def test_the_same_seed_gives_the_same_numbers_on_every_machine() -> None:
    numbers = drawn(7, 0, 0, 200, 200)
    assert numbers.dtype == np.float32
    digest = hashlib.sha256(numbers.astype("<f4").tobytes()).hexdigest()
    assert digest == "ca5184029465b8785865caa7043f54742c76e50a1cb20088509f6e92d146bab7"


def test_no_quantile_is_so_near_to_half_way_between_two_floats_that_a_machine_could_round_it_otherwise() -> None:
    inverse = NormalDist().inv_cdf
    exact = np.array([inverse((k + 0.5) / 65536) for k in range(32768, 65536)])
    rounded = exact.astype(np.float32)
    for towards in (np.inf, -np.inf):
        neighbour = np.nextafter(rounded, np.float32(towards)).astype(np.float64)
        half_way = (rounded + neighbour) / 2
        # The last bit of a double is 2e-16 of it; the algorithm (Wichura's AS241) is good to 1e-15 or so.
        assert (np.abs(exact - half_way) / exact).min() > 1e-12


def test_the_numbers_are_standard_normal() -> None:
    numbers = drawn(3, 0, 0, 1000, 1000).ravel().astype(np.float64)
    assert abs(numbers.mean()) < 0.005
    assert abs(numbers.std() - 1) < 0.005
    assert abs((numbers**3).mean()) < 0.02
    assert abs((numbers**4).mean() - 3) < 0.05
    shares = [np.mean(numbers < bound) for bound in (-2, -1, 0, 1, 2)]
    assert np.allclose(shares, [NormalDist().cdf(bound) for bound in (-2, -1, 0, 1, 2)], atol=0.002)


def test_neighbours_and_blocks_and_seeds_have_nothing_in_common() -> None:
    first = drawn(3, 0, 0, 4 * BLOCK, 4 * BLOCK)[..., 0].astype(np.float64)
    others = {
        "shifted by a pixel": np.roll(first, 1, axis=1),
        "shifted by a block": np.roll(first, BLOCK, axis=0),
        "turned": first.T,
        "of the next seed": drawn(4, 0, 0, 4 * BLOCK, 4 * BLOCK)[..., 0].astype(np.float64),
    }
    for name, other in others.items():
        assert abs(np.mean(first * other)) < 0.02, name


def test_a_vector_has_its_64_numbers_whatever_the_tile() -> None:
    vectors = [Noise(9, "vector").of(Tile(top, 0, side, side, top, 0, side, side)) for top, side in ((0, 64), (9, 3))]
    assert vectors[0].shape == (NOISE_LENGTH,)
    assert np.array_equal(vectors[0], vectors[1])
    assert len(np.unique(vectors[0])) == NOISE_LENGTH


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="a seed is from 0 to"):
        Noise(seed, "map")


def test_the_largest_seed_has_numbers_of_its_own() -> None:
    assert not np.array_equal(drawn(MAX_SEED, 0, 0, 9, 9), drawn(MAX_SEED - 1, 0, 0, 9, 9))
