"""Noise: the random numbers of a degradation, a function of seed and place, the same on every machine.

Counter-based (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): Philox4x64-10 with the seed as its
key numbers the blocks of the image. So a tile draws exactly what the whole image would have there, in any order, and
no more than the tile's own numbers are in memory.
"""

import functools
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.manifest import NOISE_LENGTH
from service.tiling import Tile

MAX_SEED = 2**63 - 1
BLOCK = 64  # pixels a side
_LEVELS = 2**16


class Noise:
    """The noise of one image: a "map" has one number for each of its pixels, a "vector" NOISE_LENGTH numbers.

    Standard normal, float32, rounded to the 65536 quantiles at the middles of equal shares, of which the outermost is
    at 4.32. They are looked up, for logarithms differ in the last bit between machines.
    """

    def __init__(self, seed: int, kind: Literal["vector", "map"]) -> None:
        """Raises ValueError for a seed that is not in 0 to MAX_SEED."""
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"a seed is from 0 to {MAX_SEED}, not {seed}")
        self.seed = seed
        self.kind = kind

    def of(self, tile: Tile) -> NDArray[np.float32]:
        """What goes with the tile: [h,w,1] of a map, [NOISE_LENGTH] of a vector."""
        if self.kind == "vector":
            return self._block(0, 0).ravel()[:NOISE_LENGTH]
        noise = np.empty((tile.height, tile.width, 1), np.float32)
        for row, (rows, block_rows) in _cuts(tile.top, tile.height):
            for column, (columns, block_columns) in _cuts(tile.left, tile.width):
                noise[rows, columns, 0] = self._block(row, column)[block_rows, block_columns]
        return noise

    def _block(self, row: int, column: int) -> NDArray[np.float32]:
        """[BLOCK,BLOCK]. The generator counts in the low words of its counter, and the block's place is in the high."""
        generator = np.random.Philox(key=[self.seed, 0], counter=[0, 0, row, column])
        words = generator.random_raw(BLOCK * BLOCK // 4).astype("<u8")
        numbers: NDArray[np.float32] = _quantiles()[words.view("<u2")]
        return numbers.reshape(BLOCK, BLOCK)


def _cuts(start: int, length: int) -> list[tuple[int, tuple[slice, slice]]]:
    """For each block that [start, start + length) touches: its index, the part of that span in it, the same in it."""
    cuts = []
    for index in range(start // BLOCK, -(-(start + length) // BLOCK)):
        origin = index * BLOCK
        first, last = max(start, origin), min(start + length, origin + BLOCK)
        cuts.append((index, (slice(first - start, last - start), slice(first - origin, last - origin))))
    return cuts


@functools.cache
def _quantiles() -> NDArray[np.float32]:
    """Of the standard normal distribution, at (k + 1/2) / 65536."""
    inverse = NormalDist().inv_cdf
    # The lower half mirrors the upper, so that the mean is exactly 0.
    upper = np.array([inverse((k + 0.5) / _LEVELS) for k in range(_LEVELS // 2, _LEVELS)], np.float32)
    return np.concatenate([-upper[::-1], upper])
