"""Scene cuts: where one shot of a clip ends and the next begins, by how suddenly the picture changes.

The measure of FFmpeg's `scdet` filter, on luma shrunk by area to SMALL pixels: the mean absolute difference to the
frame before, less that of the pair before, so that steady motion is no cut however fast it is. The figures are in
docs/decisions/0082.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = 36  # pixels of the shorter side, at least
THRESHOLD = 6.0  # levels of 255; above it the difference has to rise


class CutDetector:
    """Looks at the `small_luma` of one clip's frames, one after the other."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._last_change = THRESHOLD

    def begins_shot(self, luma: NDArray[np.float32]) -> bool:
        """Whether a cut lies between the frame before and this one. Before the first there is nothing to be cut."""
        last, self._last = self._last, luma
        if last is None:
            return False
        change = float(np.abs(luma - last).mean())
        is_cut = change - self._last_change > THRESHOLD
        # A cut says nothing of the motion in the new shot; but should it have been motion, that is known next time.
        self._last_change = min(change, self._last_change + THRESHOLD)
        return is_cut


def small_luma(frame: NDArray[Any]) -> NDArray[np.float32]:
    """Luma (ITU-R BT.601) of a frame [H,W,3], uint8 or uint16, in levels of 255, shrunk by area."""
    levels = frame if frame.dtype == np.uint8 else (frame >> 8).astype(np.uint8)
    step = max(1, min(frame.shape[:2]) // SMALL)
    return np.asarray(Image.fromarray(levels).reduce(step).convert("L"), np.float32)
