"""Planes: a source image and the network's answer to it, which fills up tile by tile; and how a graph wants it cut."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.manifest import Manifest
from service.noise import Noise
from service.tiling import Tile, TilePlan, least_max_tile, plan_tiles

MAX_TILE_MACS = 400_000_000_000
"""Work of one tile. EDSR-baseline's tiles reach their 512 pixels before it; those of a
network with more work per pixel, and with it more memory, are smaller."""

Pixels = NDArray[Any]  # uint8, uint16 or float32


class Plane:
    """A source image and its output.

    `source` is [H,W,3], or [H,W] for a plane such as alpha, which the network sees as a grey picture; uint8
    or uint16; it is only read. `output` has its dtype and is `scale` times as large, or with direction "down" so many
    times smaller, rounded up; it is undefined until every tile of a plan has been written. Different tiles may be read
    and written by different threads.

    Where the network takes a window of frames (`frame_window` is their number, 0 for one that takes pictures), the
    source is a still: a clip of one frame, whose first and last frame are repeated as at the ends of any clip.
    `noise` is what a degradation draws for this image. `on_tile` is called whenever a tile has been written, in the
    thread that wrote it.
    """

    def __init__(
        self,
        source: Pixels,
        scale: int,
        *,
        direction: Literal["up", "down"] = "up",
        frame_window: int = 0,
        noise: Noise | None = None,
    ) -> None:
        """Allocates the output. Raises ValueError for another shape or dtype."""
        if source.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a plane has uint8 or uint16 pixels, not {source.dtype}")
        if source.ndim != 2 and (source.ndim != 3 or source.shape[2] != 3):
            raise ValueError(f"a plane is [H,W,3] or [H,W], not {list(source.shape)}")
        self.source = source
        self.scale = scale
        self.direction = direction
        self.frame_window = frame_window
        self.noise = noise
        self.on_tile: Callable[[], None] | None = None
        height, width, *channels = source.shape
        # np.empty: memory becomes resident as tiles are written, not all at once.
        self.output: Pixels = np.empty((self._end(height), self._end(width), *channels), source.dtype)

    @classmethod
    def of_graph(cls, source: Pixels, facts: Manifest, *, seed: int = 0) -> "Plane":
        """A plane for the graph with these facts; `seed` is that of its noise, where it takes some."""
        return cls(
            source,
            facts.scale,
            direction=facts.direction,
            frame_window=facts.frame_window if facts.input == "frames" else 0,
            noise=None if facts.noise == "none" else Noise(seed, facts.noise),
        )

    def fits(self, facts: Manifest) -> bool:
        """Whether the graph with these facts can fill it."""
        return (
            self.source.dtype == (np.uint8 if facts.pixels == "uint8" else np.uint16)
            and (self.scale, self.direction) == (facts.scale, facts.direction)
            and self.frame_window == (facts.frame_window if facts.input == "frames" else 0)
            and (self.noise.kind if self.noise else "none") == facts.noise
        )

    def read(self, tile: Tile) -> Pixels:
        """What the network sees of `tile`: [h,w,3], or [D,h,w,3] of frames.

        uint8 (a view) or, of a uint16 image, float32 in [0,1].
        """
        pixels = seen(self.source, tile)
        return np.broadcast_to(pixels, (self.frame_window, *pixels.shape)) if self.frame_window else pixels

    def write(self, tile: Tile, answer: Pixels) -> None:
        """Puts the core of `answer`, the network's for `tile`, in its place.

        float32 answers are clipped to [0,1] and rounded to 16 bits; of a plane [H,W] the mean of the
        channels is kept. Raises ValueError for an answer of another shape or type.
        """
        expected = np.uint8 if self.output.dtype == np.uint8 else np.float32
        if answer.shape != (self._end(tile.height), self._end(tile.width), 3) or answer.dtype != expected:
            raise ValueError(f"{answer.dtype} {list(answer.shape)} is no answer for a tile {tile.height}x{tile.width}")
        core = answer[
            self._span(tile.core_top - tile.top, tile.core_height),
            self._span(tile.core_left - tile.left, tile.core_width),
        ]
        place = self.output[self._span(tile.core_top, tile.core_height), self._span(tile.core_left, tile.core_width)]
        if core.dtype == np.float32:
            core = np.rint(np.clip(core, 0, 1) * np.float32(65535)).astype(np.uint16)
        if place.ndim == 2:
            core = (core.sum(axis=2, dtype=np.uint32) + 1) // 3
        place[...] = core
        if self.on_tile is not None:
            self.on_tile()

    def _span(self, start: int, length: int) -> slice:
        """Where the pixels [start, start + length) of the source lie in the output; of "down", start is a multiple."""
        return slice(start * self.scale if self.direction == "up" else start // self.scale, self._end(start + length))

    def _end(self, side: int) -> int:
        return side * self.scale if self.direction == "up" else -(-side // self.scale)


def seen(source: Pixels, tile: Tile) -> Pixels:
    """What a network sees of `tile` in a source as of Plane: [h,w,3], uint8 (a view) or float32 in [0,1]."""
    pixels = source[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
    if pixels.ndim == 2:
        pixels = np.broadcast_to(pixels[..., np.newaxis], (*pixels.shape, 3))
    return pixels if pixels.dtype == np.uint8 else np.divide(pixels, np.float32(65535), dtype=np.float32)


def batch_of(cuts: Sequence[tuple[Plane, Tile]]) -> tuple[Pixels, NDArray[np.float32] | None]:
    """What a session runs on: the tiles' pixels [N,h,w,3] (frames: [N,D,h,w,3]), and their noise where it takes some.

    The tiles are of one shape, and their planes of one network.
    """
    pixels = np.stack([plane.read(tile) for plane, tile in cuts])
    noise = [plane.noise.of(tile) for plane, tile in cuts if plane.noise is not None]
    return pixels, np.stack(noise) if noise else None


def plan_for(facts: Manifest, height: int, width: int, *, exact: bool, max_tile: int) -> TilePlan:
    """How a `height` x `width` image is cut for the graph with these facts.

    `exact` takes the whole receptive radius as halo, else the one that was measured to do. Tiles are at most `max_tile`
    a side and of MAX_TILE_MACS, unless the halo would then be more than two thirds of them (half, where
    `max_tile` is the cause). All in pixels of the graph's input: HR ones for a degradation.
    """
    unit = facts.input_scale
    if facts.fixed_size is not None:
        return plan_tiles(height, width, halo=0, max_tile=max(height, width))
    halo, grid = (facts.halo_exact if exact else facts.halo) * unit, facts.size_multiple * unit
    if facts.macs_per_lr_pixel:
        affordable = math.isqrt(MAX_TILE_MACS * unit**2 // facts.macs_per_lr_pixel)
        max_tile = min(max_tile, max(affordable, 6 * halo))
    max_tile = max(max_tile, 4 * halo, least_max_tile(halo=halo, grid=grid))
    return plan_tiles(height, width, halo=halo, max_tile=max_tile, grid=grid, unit=unit)
