"""The photographs on which an export is measured: scikit-image's own, so every machine measures the same pixels."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from skimage import data

Pixels8 = npt.NDArray[np.uint8]

LOADERS: dict[str, Callable[[], Pixels8]] = {
    "astronaut": data.astronaut,
    "chelsea": data.chelsea,
    "coffee": data.coffee,
}


def photographs() -> dict[str, Pixels8]:
    """RGB uint8 [H, W, 3]: a portrait (512x512), a cat's fur (300x451), smooth shades with hard edges (400x600)."""
    return {name: np.ascontiguousarray(load(), dtype=np.uint8) for name, load in LOADERS.items()}


def centre_crop(photograph: Pixels8, side: int) -> Pixels8:
    """The middle `side` x `side` pixels, contiguous; the photograph must be at least as large."""
    top, left = ((size - side) // 2 for size in photograph.shape[:2])
    return np.ascontiguousarray(photograph[top : top + side, left : left + side])
