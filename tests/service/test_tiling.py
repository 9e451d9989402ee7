"""Tiled and untiled answers of a real session are the same bytes; a halo one pixel too small shows."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.planes import Plane
from service.tiling import Tile, TilePlan, least_max_tile, plan_tiles
from tests import oracles

RADIUS = 3
SCALE = 2
Run = Callable[[NDArray[Any]], NDArray[Any]]


@cache
def blur_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    proto = oracles.blur_graph(SCALE, RADIUS)
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_tiled(image: NDArray[Any], plan: TilePlan) -> NDArray[Any]:
    session = blur_session()
    plane = Plane(image, SCALE)
    for tile in plan.tiles:
        (sr,) = session.run(["sr"], {"lr": plane.read(tile)[np.newaxis]})
        plane.write(tile, sr[0])
    return plane.output


def random_image(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """height, width, halo, max_tile, step: mostly small, sometimes very long or one pixel wide."""
    side = st.one_of(st.integers(1, 90), st.integers(1, 3), st.integers(200, 700))
    height, width = draw(side), draw(side)
    assume(height * width <= 40_000)
    halo = draw(st.integers(RADIUS, RADIUS + 4))
    max_tile = draw(st.integers(2 * halo + 1, 64))
    return height, width, halo, max_tile, draw(st.sampled_from([1, 4, 16]))


@given(case=cases())
@example(case=(1, 1, 3, 7, 16))  # one pixel
@example(case=(1, 700, 3, 7, 16))  # cores of one pixel, 694 tiles
@example(case=(700, 1, 3, 64, 16))
@example(case=(65, 64, 3, 64, 1))  # one more than a tile
@settings(max_examples=120, deadline=None)
def test_tiled_equals_untiled_bit_for_bit(case: tuple[int, int, int, int, int]) -> None:
    height, width, halo, max_tile, step = case
    image = random_image(height, width)
    plan = plan_tiles(height, width, halo=halo, max_tile=max_tile, step=step)
    untiled = blur_session().run(["sr"], {"lr": image[np.newaxis]})[0][0]
    assert np.array_equal(untiled, oracles.blur(image, SCALE, RADIUS))
    assert np.array_equal(run_tiled(image, plan), untiled)


@given(height=st.integers(1, 90), width=st.integers(65, 160), max_tile=st.integers(2 * RADIUS, 64))
@settings(max_examples=60, deadline=None)
def test_a_halo_one_pixel_short_of_the_radius_shows_at_the_seams(height: int, width: int, max_tile: int) -> None:
    plan = plan_tiles(height, width, halo=RADIUS - 1, max_tile=max_tile, step=1)
    # A seam may have more context than asked for, when the tiles do not fill the side exactly.
    assume(any(context(plan, tile) == RADIUS - 1 for tile in plan.tiles))
    image = random_image(height, width)
    assert not np.array_equal(run_tiled(image, plan), oracles.blur(image, SCALE, RADIUS))


def context(plan: TilePlan, tile: Tile) -> int:
    """The least distance between the tile's core and a border of the tile that is not the image's."""
    distances = [
        (tile.top > 0, tile.core_top - tile.top),
        (tile.left > 0, tile.core_left - tile.left),
        (
            tile.top + tile.height < plan.height,
            tile.top + tile.height - tile.core_top - tile.core_height,
        ),
        (
            tile.left + tile.width < plan.width,
            tile.left + tile.width - tile.core_left - tile.core_width,
        ),
    ]
    return min((distance for inside, distance in distances if inside), default=10**6)


@given(case=cases())
@settings(max_examples=300, deadline=None)
def test_cores_partition_the_image_and_keep_their_halo(case: tuple[int, int, int, int, int]) -> None:
    height, width, halo, max_tile, step = case
    plan = plan_tiles(height, width, halo=halo, max_tile=max_tile, step=step)
    covered = np.zeros((height, width), np.uint8)
    for tile in plan.tiles:
        assert (tile.height, tile.width) == (plan.tile_height, plan.tile_width)
        assert 0 <= tile.top <= height - tile.height
        assert 0 <= tile.left <= width - tile.width
        assert min(tile.core_height, tile.core_width) >= 1
        assert context(plan, tile) >= halo
        covered[
            tile.core_top : tile.core_top + tile.core_height,
            tile.core_left : tile.core_left + tile.core_width,
        ] += 1
    assert (covered == 1).all()
    assert plan.pixels == sum(tile.height * tile.width for tile in plan.tiles)


@st.composite
def grid_cases(draw: st.DrawFn) -> dict[str, int]:
    """height, width, halo, max_tile, step, grid, unit: what plan_tiles takes, with a grid."""
    unit = draw(st.integers(1, 4))
    grid = unit * draw(st.integers(1, 6))
    halo = unit * draw(st.integers(0, 6))
    least = least_max_tile(halo=halo, grid=grid)
    sides = st.integers(1, 300)
    return {
        "height": draw(sides),
        "width": draw(sides),
        "halo": halo,
        "max_tile": draw(st.integers(least, least + 60)),
        "step": draw(st.sampled_from([1, 4, 16])),
        "grid": grid,
        "unit": unit,
    }


@given(case=grid_cases())
@settings(max_examples=400, deadline=None)
def test_on_a_grid_tiles_begin_at_its_multiples_and_cores_partition_the_image(case: dict[str, int]) -> None:
    plan = plan_tiles(**case)
    height, width, grid, unit = case["height"], case["width"], case["grid"], case["unit"]
    covered = np.zeros((height, width), np.uint8)
    for tile in plan.tiles:
        assert (tile.height, tile.width) == (plan.tile_height, plan.tile_width)
        assert tile.top % grid == tile.left % grid == 0
        # So the tile's other borders lie to its grid as the image's lie to the image's.
        assert (height - tile.height) % grid == (width - tile.width) % grid == 0
        assert 0 <= tile.top <= height - tile.height
        assert 0 <= tile.left <= width - tile.width
        assert tile.core_top % unit == tile.core_left % unit == 0
        assert min(tile.core_height, tile.core_width) >= 1
        assert context(plan, tile) >= case["halo"]
        covered[
            tile.core_top : tile.core_top + tile.core_height,
            tile.core_left : tile.core_left + tile.core_width,
        ] += 1
    assert (covered == 1).all()
    assert max(plan.tile_height, plan.tile_width) <= case["max_tile"]


def fewest_tiles(length: int, side: int, *, halo: int, grid: int) -> int | None:
    """By putting every tile as far on as its halo and the grid allow; None where they allow no progress."""
    start, count = 0, 1
    while start + side < length:
        farthest = (start + side - 2 * halo) // grid * grid
        if farthest <= start:
            return None
        start, count = min(farthest, length - side), count + 1
    return count


@given(length=st.integers(1, 300), halo=st.integers(0, 12), grid=st.integers(1, 9), data=st.data())
@settings(max_examples=300, deadline=None)
def test_on_a_grid_no_fewer_tiles_would_do_and_no_smaller_ones(
    length: int, halo: int, grid: int, data: st.DataObject
) -> None:
    least = least_max_tile(halo=halo, grid=grid)
    max_tile = data.draw(st.integers(least, least + 40))
    plan = plan_tiles(length, 1, halo=halo, max_tile=max_tile, step=1, grid=grid)
    sides = [side for side in range(1, min(max_tile, length) + 1) if (length - side) % grid == 0]
    found = {side: fewest_tiles(length, side, halo=halo, grid=grid) for side in sides}
    fewest = min(count for count in found.values() if count)
    assert (len(plan.tiles), plan.tile_height) == (fewest, min(side for side in sides if found[side] == fewest))


@given(halo=st.integers(0, 40), grid=st.integers(1, 40))
@settings(deadline=None)
def test_the_least_max_tile_cuts_images_of_every_size(halo: int, grid: int) -> None:
    least = least_max_tile(halo=halo, grid=grid)
    for length in range(least + 1, least + 1 + grid):
        assert plan_tiles(length, 1, halo=halo, max_tile=least, step=1, grid=grid).tile_height <= least


@given(length=st.integers(1, 4000), halo=st.integers(0, 40), data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_fewer_tiles_would_do_and_no_smaller_ones(length: int, halo: int, data: st.DataObject) -> None:
    max_tile = data.draw(st.integers(2 * halo + 1, 600))
    plan = plan_tiles(length, 1, halo=halo, max_tile=max_tile, step=1)
    count, side = len(plan.tiles), plan.tile_height
    assert side <= max_tile

    def reach(count: int, side: int) -> int:
        return count * side - 2 * halo * (count - 1)

    if length > max_tile:
        assert reach(count, side) >= length > reach(count, side - 1)
        assert length > reach(count - 1, max_tile)
    else:
        assert (count, side) == (1, length)


def test_an_image_that_fits_is_one_tile_of_its_own_shape() -> None:
    plan = plan_tiles(37, 53, halo=16, max_tile=64)
    assert [(tile.height, tile.width) for tile in plan.tiles] == [(37, 53)]


def test_images_of_nearly_the_same_size_share_one_tile_shape() -> None:
    plans = [plan_tiles(side, side + 7, halo=24, max_tile=304) for side in range(1000, 1020)]
    assert {plan.tile_height for plan in plans} == {plan.tile_width for plan in plans} == {288, 304}


def test_an_image_that_fits_needs_no_room_for_a_core() -> None:
    assert len(plan_tiles(8, 8, halo=36, max_tile=8).tiles) == 1


def test_rounding_up_to_a_step_never_exceeds_the_limit() -> None:
    plan = plan_tiles(1000, 1000, halo=4, max_tile=250, step=16)
    assert max(plan.tile_height, plan.tile_width) <= 250


def test_no_tile_is_padded_so_one_axis_may_be_cut_and_the_other_not() -> None:
    plan = plan_tiles(5, 1000, halo=8, max_tile=100)
    assert plan.tile_height == 5
    assert plan.tile_width <= 100


@pytest.mark.parametrize(
    ("height", "width", "halo", "max_tile"),
    [(0, 5, 1, 8), (5, 0, 1, 8), (5, 5, -1, 8), (9, 5, 4, 8)],
    ids=["no-height", "no-width", "negative-halo", "no-room-for-a-core"],
)
def test_a_plan_that_cannot_be_is_refused(height: int, width: int, halo: int, max_tile: int) -> None:
    with pytest.raises(ValueError, match="no"):
        plan_tiles(height, width, halo=halo, max_tile=max_tile)


@pytest.mark.parametrize(
    ("halo", "grid", "unit"), [(4, 4, 3), (3, 4, 2), (4, 0, 1), (4, 4, 0)], ids=["grid", "halo", "no-grid", "no-unit"]
)
def test_a_grid_and_a_halo_that_units_do_not_fill_are_refused(halo: int, grid: int, unit: int) -> None:
    with pytest.raises(ValueError, match="no plan"):
        plan_tiles(50, 50, halo=halo, max_tile=40, grid=grid, unit=unit)
