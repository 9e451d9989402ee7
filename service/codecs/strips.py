"""Pixels as they are written: a few rows at a time, interleaved, so that no encoder needs a second whole picture."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from service.codecs.image import DecodedImage, Pixels

STRIP_BYTES = 1 << 20  # fits a core's cache with its filtered copy; larger measured slower


def channels_of(image: DecodedImage) -> int:
    """Samples per pixel as written: 1 grey or 3 colour, plus 1 where there is an alpha."""
    return (1 if image.grey else 3) + (image.alpha is not None)


def rows_per_strip(image: DecodedImage) -> int:
    """Rows of about STRIP_BYTES, at least one."""
    height, width = image.colour.shape[:2]
    row_bytes = int(width) * channels_of(image) * image.colour.itemsize
    return max(1, min(int(height), STRIP_BYTES // row_bytes))


def strips(image: DecodedImage, dtype: npt.DTypeLike) -> Iterator[Pixels]:
    """The picture top to bottom as [rows, W, channels] of `dtype`; a strip is valid until the next is asked for."""
    height, width = image.colour.shape[:2]
    rows = rows_per_strip(image)
    buffer = np.empty((rows, width, channels_of(image)), dtype)
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        strip = buffer[: part.stop - part.start]
        if image.grey:
            strip[..., 0] = grey_of(image.colour[part])
        else:
            strip[..., :3] = image.colour[part]
        if image.alpha is not None:
            strip[..., -1] = image.alpha[part]
        yield strip


def grey_of(colour: Pixels) -> Pixels:
    """[H,W,3] -> [H,W]: the rounded mean of three channels that a network may have left a level apart."""
    total = np.add(colour[..., 0], colour[..., 1], dtype=np.uint32)
    total += colour[..., 2]
    total += 1
    mean: Pixels = (total // 3).astype(colour.dtype)
    return mean


def to_uint8(plane: Pixels) -> npt.NDArray[np.uint8]:
    """16 bits rounded to 8 (65535 becomes 255: v / 257), some rows at a time; 8 bits are returned as they are."""
    if plane.dtype == np.uint8:
        return plane.astype(np.uint8, copy=False)
    out = np.empty(plane.shape, np.uint8)
    for top in range(0, plane.shape[0], 64):
        part = plane[top : top + 64].astype(np.uint32)
        out[top : top + 64] = (part * 255 + 32895) >> 16
    return out


def interleaved8(image: DecodedImage, *, alpha: bool) -> npt.NDArray[np.uint8]:
    """The whole picture for an encoder that wants it so: uint8 [H,W], [H,W,3] or [H,W,4], C-contiguous.

    Grey without alpha is [H,W]. A colour picture of 8 bits without alpha is returned itself, not a copy.
    """
    if image.grey and not alpha:
        return _grey8(image)
    if not alpha:
        return to_uint8(image.colour)
    assert image.alpha is not None
    height, width = image.alpha.shape
    out = np.empty((height, width, 4), np.uint8)
    for top in range(0, height, 64):
        part = slice(top, top + 64)
        rows = to_uint8(image.colour[part])
        out[part, :, :3] = grey_of(rows)[..., None] if image.grey else rows
        out[part, :, 3] = to_uint8(image.alpha[part])
    return out


def _grey8(image: DecodedImage) -> npt.NDArray[np.uint8]:
    height, width = image.colour.shape[:2]
    out = np.empty((height, width), np.uint8)
    for top in range(0, height, 64):
        out[top : top + 64] = to_uint8(grey_of(image.colour[top : top + 64]))
    return out
