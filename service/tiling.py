"""Tiles: an image is cut into tiles that know enough of their surroundings, and put together again.

`core` is the part of a tile that is kept, `halo` the LR pixels of context around it. A tile at the image's
border is shifted inward instead of being padded, so the network meets its own zero padding only at real
borders, and the result is the whole image's. All tiles of one plan have one shape, so tiles of many
requests share batches.
"""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # uint8, uint16 or float32


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of the image, in LR pixels of the image: what the network sees, and the core that is kept."""

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
    """How an image of `height` x `width` LR pixels is cut: the cores partition it, row by row.

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
        """LR pixels the network will see, halos included: what the plan costs."""
        return len(self.tiles) * self.tile_height * self.tile_width


def plan_tiles(height: int, width: int, *, halo: int, max_tile: int, step: int = 16) -> TilePlan:
    """The plan for an image of `height` x `width`, both at least 1.

    Along each axis: the whole side if it is at most `max_tile`; else the fewest tiles of at most
    `max_tile`, all of the smallest side that does, rounded up to a multiple of `step` (but not above
    `max_tile`) so that images of nearly the same size get the same shape. Raises ValueError if the image
    must be cut and `max_tile` leaves no core inside two halos.
    """
    if min(height, width, step) < 1 or halo < 0:
        raise ValueError(f"no plan for {height} x {width} pixels, halo {halo}, step {step}")
    tile_height = _tile_side(height, halo=halo, max_tile=max_tile, step=step)
    tile_width = _tile_side(width, halo=halo, max_tile=max_tile, step=step)
    rows = _spans(height, tile_height, halo)
    columns = _spans(width, tile_width, halo)
    tiles = tuple(
        Tile(
            row.start, column.start, tile_height, tile_width,
            row.core_start, column.core_start, row.core_length, column.core_length,
        )
        for row, column in product(rows, columns)
    )  # fmt: skip
    return TilePlan(height, width, halo, tile_height, tile_width, tiles)


@dataclass(frozen=True, slots=True)
class _Span:
    """A tile along one axis."""

    start: int
    core_start: int
    core_length: int


def _tile_side(length: int, *, halo: int, max_tile: int, step: int) -> int:
    if length <= max_tile:
        return length
    if max_tile <= 2 * halo:
        raise ValueError(f"tiles of {max_tile} pixels have no core inside two halos of {halo}")
    # The two outer tiles lose one halo each, the others two: count * side - 2 * halo * (count - 1) >= length.
    count = _ceil_div(length - 2 * halo, max_tile - 2 * halo)
    side = _ceil_div(length + 2 * halo * (count - 1), count)
    return min(_ceil_div(side, step) * step, max_tile)


def _spans(length: int, side: int, halo: int) -> list[_Span]:
    """Tiles at even distances, the first at the one border, the last at the other."""
    count = 1 if side == length else _ceil_div(length - 2 * halo, side - 2 * halo)
    room = length - side
    starts = [i * room // max(count - 1, 1) for i in range(count)]
    # Neighbours overlap by at least two halos; the seam lies in the middle, where both know most.
    seams = [(left + side + right) // 2 for left, right in pairwise(starts)]
    cores = pairwise([0, *seams, length])
    return [_Span(start, begin, end - begin) for start, (begin, end) in zip(starts, cores, strict=True)]


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


class Plane:
    """A source image and its SR output, which fills up tile by tile.

    `source` is [H,W,3], or [H,W] for a plane such as alpha, which the network sees as a grey picture; uint8
    or uint16; it is only read. `output` has its dtype and is `scale` times as large; it is undefined until
    every tile of a plan has been written. Different tiles may be read and written by different threads.
    """

    def __init__(self, source: Pixels, scale: int) -> None:
        """Allocates the output. Raises ValueError for another shape or dtype."""
        if source.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a plane has uint8 or uint16 pixels, not {source.dtype}")
        if source.ndim != 2 and (source.ndim != 3 or source.shape[2] != 3):
            raise ValueError(f"a plane is [H,W,3] or [H,W], not {list(source.shape)}")
        self.source = source
        self.scale = scale
        height, width, *channels = source.shape
        # np.empty: memory becomes resident as tiles are written, not all at once.
        self.output: Pixels = np.empty((height * scale, width * scale, *channels), source.dtype)

    def read(self, tile: Tile) -> Pixels:
        """What the network sees of `tile`: [h,w,3], uint8 (a view) or, of a uint16 image, float32 in [0,1]."""
        pixels = self.source[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        if pixels.ndim == 2:
            pixels = np.broadcast_to(pixels[..., np.newaxis], (*pixels.shape, 3))
        if pixels.dtype == np.uint8:
            return pixels
        return np.divide(pixels, np.float32(65535), dtype=np.float32)

    def write(self, tile: Tile, sr: Pixels) -> None:
        """Puts the core of `sr` [scale*h, scale*w, 3], the network's answer for `tile`, in its place.

        float32 answers are clipped to [0,1] and rounded to 16 bits; of a plane [H,W] the mean of the
        channels is kept. Raises ValueError for an answer of another shape or type.
        """
        expected = np.uint8 if self.output.dtype == np.uint8 else np.float32
        if sr.shape != (tile.height * self.scale, tile.width * self.scale, 3) or sr.dtype != expected:
            raise ValueError(f"{sr.dtype} {list(sr.shape)} is no answer for a tile {tile.height} x {tile.width}")
        core = sr[
            self._span(tile.core_top - tile.top, tile.core_height),
            self._span(tile.core_left - tile.left, tile.core_width),
        ]
        place = self.output[self._span(tile.core_top, tile.core_height), self._span(tile.core_left, tile.core_width)]
        if core.dtype == np.float32:
            core = np.rint(np.clip(core, 0, 1) * np.float32(65535)).astype(np.uint16)
        if place.ndim == 2:
            core = (core.sum(axis=2, dtype=np.uint32) + 1) // 3
        place[...] = core

    def _span(self, start: int, length: int) -> slice:
        return slice(start * self.scale, (start + length) * self.scale)
