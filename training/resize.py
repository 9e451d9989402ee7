"""MATLAB's bicubic `imresize`, the down-sampler behind every published LR image, bit for bit.

Cubic kernel with a = -0.5, widened by 1/scale when shrinking, weights normalised, borders clamped; uint8 input is
rounded between the two passes, rows first. Checked against the published Set5 LR files.
"""

from functools import lru_cache

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
    return resize(image, height // scale, width // scale)


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
