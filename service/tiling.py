"""Tiles: how an image is cut into windows that know enough of their surroundings to be put together again.

`core` is the part of a tile that is kept, `halo` the pixels of context around it. A tile at the image's
border is shifted inward instead of being padded, so the network meets its own zero padding only at real
borders, and the result is the whole image's. All tiles of one plan have one shape, so tiles of many
requests share batches.

Lengths are in pixels of the image that is cut: LR for super-resolution, HR for a degradation.
"""

import math
from dataclasses import dataclass
from itertools import pairwise, product


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of the image, in pixels of the image: what the network sees, and the core that is kept."""

    top: int
    left: int
    height: int
    width: int
    core_top: int
    core_left: int
    core_height: int
    core_width: int


@dataclass(frozen=True, slots=True)
class TilePlan:
    """How an image of `height` x `width` pixels is cut: the cores partition it, row by row.

    Every tile is `tile_height` x `tile_width`, and on each side that is not the image's border its core
    lies at least `halo` pixels inside it.
    """

    height: int
    width: int
    halo: int
    tile_height: int
    tile_width: int
    tiles: tuple[Tile, ...]

    @property
    def pixels(self) -> int:
        """Pixels the network will see, halos included: what the plan costs."""
        return len(self.tiles) * self.tile_height * self.tile_width


def plan_tiles(
    height: int, width: int, *, halo: int, max_tile: int, step: int = 16, grid: int = 1, unit: int = 1
) -> TilePlan:
    """The plan for an image of `height` x `width`, both at least 1.

    Along each axis: the whole side if it is at most `max_tile`; else the fewest tiles of at most
    `max_tile`, all of the smallest side that does, made larger by steps of `step` (but not above
    `max_tile`) so that images of nearly the same size get the same shape.

    Tiles begin at multiples of `grid`, for networks that halve the image or work in blocks; the last one as well, so
    the side that all share is congruent to the image's modulo `grid`, and both borders of the image lie to the tiles'
    grid as they lie to the image's own. Cores begin at multiples of `unit`, which divides `grid` and `halo`: of a
    degradation, the HR pixels that become one LR pixel.

    Raises ValueError if the image must be cut and `max_tile` leaves no core inside two halos.
    """
    if min(height, width, step, grid, unit) < 1 or halo < 0 or grid % unit or halo % unit:
        raise ValueError(f"no plan for {height} x {width} pixels, halo {halo}, step {step}, grid {grid}, unit {unit}")
    rows, columns = (
        _Axis(length, halo=halo, grid=grid, unit=unit, max_tile=max_tile, step=step) for length in (height, width)
    )
    tiles = tuple(
        Tile(
            row.start, column.start, rows.side, columns.side,
            row.core_start, column.core_start, row.core_length, column.core_length,
        )
        for row, column in product(rows.spans(), columns.spans())
    )  # fmt: skip
    return TilePlan(height, width, halo, rows.side, columns.side, tiles)


def least_max_tile(*, halo: int, grid: int = 1) -> int:
    """The smallest `max_tile` that plan_tiles can cut an image of any size with."""
    return (_ceil_div(2 * halo, grid) + 1) * grid + grid - 1


@dataclass(frozen=True, slots=True)
class _Span:
    """A tile along one axis."""

    start: int
    core_start: int
    core_length: int


class _Axis:
    """One axis of the image, cut. Lengths are counted in cells of the grid: a side is `rest` + cells * grid."""

    def __init__(self, length: int, *, halo: int, grid: int, unit: int, max_tile: int, step: int) -> None:
        self._length, self._grid, self._unit = length, grid, unit
        cells, rest = divmod(length, grid)
        # Neighbours overlap by two halos at least: a tile begins at least so many cells before the last one's end.
        overlap = _ceil_div(2 * halo - rest, grid)
        if length <= max_tile:
            self.side, self._count, self._room = length, 1, 0
            return
        most = (max_tile - rest) // grid
        if most <= overlap:
            raise ValueError(f"tiles of {max_tile} pixels have no core inside two halos of {halo} on a grid of {grid}")
        # The two outer tiles lose one halo each, the others two: count * side - overlap * (count - 1) >= length.
        count = _ceil_div(cells - overlap, most - overlap)
        side = _ceil_div(cells + overlap * (count - 1), count)
        stride = math.lcm(step, grid) // grid
        side = min(_ceil_div(side, stride) * stride, most)
        self.side = rest + side * grid
        self._count = _ceil_div(cells - overlap, side - overlap)
        self._room = cells - side

    def spans(self) -> list[_Span]:
        """Tiles at even distances, the first at the one border, the last at the other."""
        starts = [i * self._room // max(self._count - 1, 1) * self._grid for i in range(self._count)]
        # The seam lies in the middle of what two neighbours share, where both know most.
        seams = [(left + self.side + right) // 2 // self._unit * self._unit for left, right in pairwise(starts)]
        cores = pairwise([0, *seams, self._length])
        return [_Span(start, begin, end - begin) for start, (begin, end) in zip(starts, cores, strict=True)]


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
