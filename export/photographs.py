"""The pictures on which an export is measured: scikit-image's photographs, so all machines measure the same pixels."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from skimage import data

Pixels8 = npt.NDArray[np.uint8]
Motion = tuple[int, int]  # pixels downward and to the right from one frame to the next

LOADERS: dict[str, Callable[[], Pixels8]] = {
    "astronaut": data.astronaut,
    "chelsea": data.chelsea,
    "coffee": data.coffee,
}


def photographs() -> dict[str, Pixels8]:
    """RGB uint8 [H, W, 3]: a portrait (512x512), a cat's fur (300x451), smooth shades with hard edges (400x600)."""
    return {name: np.ascontiguousarray(load(), dtype=np.uint8) for name, load in LOADERS.items()}


def centre_crop(photograph: Pixels8, height: int, width: int | None = None) -> Pixels8:
    """The middle `height` x `width` (by default `height`) pixels of [..., H, W, 3], which must be there; contiguous."""
    width = height if width is None else width
    rows, columns = photograph.shape[-3:-1]
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.ascontiguousarray(photograph[..., top : top + height, left : left + width, :])


def mirrored(photograph: Pixels8, height: int, width: int) -> Pixels8:
    """[H, W, 3] grown to at least `height` x `width`, where it is smaller, by its own mirror images on all sides."""
    room = [max(0, wanted - size) for wanted, size in zip((height, width), photograph.shape, strict=False)]
    return np.pad(photograph, [*((extra // 2, extra - extra // 2) for extra in room), (0, 0)], mode="symmetric")


def moving(photograph: Pixels8, frames: int, motion: Motion) -> Pixels8:
    """A window [D, H', W', 3] of a camera that passes over [H, W, 3]: what it shows moves by `motion` per frame.

    H' and W' are smaller than H and W by the whole way.
    """
    height, width = (size - (frames - 1) * abs(step) for size, step in zip(photograph.shape[:2], motion, strict=True))
    views = []
    for frame in range(frames):
        # A camera that goes up shows what moves down.
        top, left = ((frames - 1 - frame if step > 0 else frame) * abs(step) for step in motion)
        views.append(photograph[top : top + height, left : left + width])
    return np.stack(views)
