"""How far a network sees, found by trying: the distance beyond which no change of the picture changes its answer.

For networks of which there is only a graph: those of this project state their receptive radius, proved by gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.errors import ForeignRefused

LONGEST_REACH = 128  # LR pixels; a tile with more context than that on every side is hardly a part of a picture
DRAWS = 2  # of noise, for what one draw's signs might hide

Batch = npt.NDArray[np.float32]


def measure_reach(run: Callable[[Batch], Batch], *, scale: int) -> int:
    """LR pixels around one pixel on which its SR pixels depend, if only in their last bit.

    `run` is the network on float32 pixels [1,H,W,3] in [0, 1]. All beyond a square around the middle is replaced by
    other noise, and the square shrunk, by halves, to the least one with which the middle does not change.

    Raises ForeignRefused if it sees further than LONGEST_REACH: attention over the whole picture, pooling.
    """
    reach = 0
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        side = 2 * LONGEST_REACH + 1
        picture, other = (random.random((1, side, side, 3), dtype=np.float32) for _ in range(2))
        trial = _Trial(run, scale, picture, other, run(picture))
        least, most = reach, LONGEST_REACH - 1
        if not trial.is_enough(most):
            raise ForeignRefused(
                f"the network sees more than {most} pixels around a pixel (attention over the whole picture? "
                f"pooling?), so the tiles of a large picture would not fit together"
            )
        while least < most:
            radius = (least + most) // 2
            least, most = (least, radius) if trial.is_enough(radius) else (radius + 1, most)
        reach = least
    return reach


@dataclass(frozen=True)
class _Trial:
    """Two pictures [1,S,S,3], and what becomes of the first."""

    run: Callable[[Batch], Batch]
    scale: int
    picture: Batch
    other: Batch
    expected: Batch

    def is_enough(self, radius: int) -> bool:
        """Whether the middle pixel's answer is the same when all beyond `radius` is the other picture's."""
        inside = slice(LONGEST_REACH - radius, LONGEST_REACH + radius + 1)
        changed = self.other.copy()
        changed[:, inside, inside] = self.picture[:, inside, inside]
        middle = slice(LONGEST_REACH * self.scale, (LONGEST_REACH + 1) * self.scale)
        return np.array_equal(self.run(changed)[:, middle, middle], self.expected[:, middle, middle])
