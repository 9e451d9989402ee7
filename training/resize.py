"""MATLAB's bicubic `imresize`, the down-sampler behind every published LR image, bit for bit.

Cubic kernel with a = -0.5, widened by 1/scale when shrinking, weights normalised, borders clamped; uint8 input is
rounded between the two passes, rows first. Checked against the published Set5 LR files.

Shrinking by a whole number, which is what training data needs by the thousand, has weights that are small fractions:
`downscale` adds up their numerators, exactly in any order, block by block instead of with one large matrix.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def downscale(image: Pixels, scale: int) -> Pixels:
    """uint8 [s*H, s*W, C] (or [s*H, s*W]) to uint8 [H, W, C].

    Raises:
        ValueError: height or width is not a multiple of the scale; crop with `crop_to_multiple` first.
    """
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{height}x{width} is not a multiple of scale {scale}")
    if scale == 1:
        return image.copy()
    rows = _shrink_rows(image, scale)
    return np.ascontiguousarray(_shrink_rows(rows.swapaxes(0, 1), scale).swapaxes(0, 1))


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """uint8 [h, w, C] or [h, w] to the given size, shrinking or enlarging."""
    rows = _apply(image, height, axis=0)
    return _apply(rows, width, axis=1)


def crop_to_multiple(image: Pixels, multiple: int) -> Pixels:
    """The top left part whose sides are multiples of `multiple`: what the papers call mod-crop."""
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]


def _apply(image: Pixels, size: int, axis: int) -> Pixels:
    moved = np.moveaxis(image, axis, 0)
    matrix = _weights(moved.shape[0], size)
    result = matrix @ moved.reshape(moved.shape[0], -1).astype(np.float64)
    rounded = np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)  # MATLAB rounds half away from zero
    return np.moveaxis(rounded.reshape(size, *moved.shape[1:]), 0, axis)


def _shrink_rows(image: Pixels, scale: int) -> Pixels:
    """uint8 [s*H, ...] to uint8 [H, ...]."""
    size = image.shape[0] // scale
    block, denominator = numerators(scale, 16)
    lead = reach(scale)
    flat = np.ascontiguousarray(image).reshape(image.shape[0], -1)
    border = ((lead, lead + block.shape[0] * scale), (0, 0))
    source = np.pad(flat, border, mode="edge").astype(block.dtype)
    result = np.empty((size, flat.shape[1]), np.uint8)
    for start in range(0, size, block.shape[0]):
        rows = min(block.shape[0], size - start)
        sums = block[:rows] @ source[start * scale : start * scale + block.shape[1]]
        # Sums of numerators are whole numbers; MATLAB rounds half away from zero.
        result[start : start + rows] = np.clip(np.floor(sums / denominator + 0.5), 0, 255)
    return result.reshape(size, *image.shape[1:])


def reach(scale: int) -> int:
    """Inputs before and after its own that an output of `downscale` depends on."""
    return 2 * scale - scale // 2


@lru_cache(maxsize=32)
def numerators(scale: int, rows: int) -> tuple[npt.NDArray[Any], int]:
    """Numerators of the weights for `rows` successive outputs, [rows, inputs], and their common denominator.

    Inputs are those that the outputs cover, `scale` each, and `reach(scale)` more on either side.
    """
    denominator = 2 * scale * (2 * scale if scale % 2 == 0 else scale) ** 3
    taps = np.arange(-reach(scale), scale + reach(scale))
    weights = _cubic((taps - (scale - 1) / 2) / scale) / scale
    matrix = np.zeros((rows, (rows - 1) * scale + len(taps)))
    for row in range(rows):
        matrix[row, row * scale : row * scale + len(taps)] = np.rint(weights * denominator)
    # Positive numerators add up to less than 1.5 times the denominator; below 2^24 float32 is exact.
    return matrix.astype(np.float32 if denominator * 255 * 1.5 < 2**24 else np.float64), denominator


@lru_cache(maxsize=64)
def _weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """The resampling matrix [target, source] along one axis."""
    ratio = target / source
    stretch = min(ratio, 1.0)  # the kernel widens when shrinking: antialiasing
    support = 4.0 / stretch
    centre = (np.arange(target) + 0.5) / ratio - 0.5  # in source coordinates
    first = np.floor(centre - support / 2).astype(int) + 1
    taps = first[:, None] + np.arange(int(np.ceil(support)) + 2)[None, :]
    weights = stretch * _cubic(stretch * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target)[:, None], np.clip(taps, 0, source - 1)), weights)
    return matrix


def _cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
