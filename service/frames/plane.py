"""A plane whose source is a clip's window: the network sees the same tile of each of its frames."""

from collections.abc import Sequence

import numpy as np

from service.planes import Pixels, Plane, seen
from service.tiling import Tile


class WindowPlane(Plane):
    """`frames` are the window's, an odd number, of one shape and dtype; the answer is for the middle one."""

    def __init__(self, frames: Sequence[Pixels], scale: int) -> None:
        """Allocates the output. Raises ValueError for another shape or dtype, as Plane."""
        super().__init__(frames[len(frames) // 2], scale, frame_window=len(frames))
        self._frames = tuple(frames)

    def read(self, tile: Tile) -> Pixels:
        """[D,h,w,3], uint8 or, of uint16 frames, float32 in [0,1]."""
        return np.stack([seen(frame, tile) for frame in self._frames])
