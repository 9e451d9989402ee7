"""Reduction: the network's answer made smaller, where the caller asked for less than the scale that ran."""

from dataclasses import replace

import numpy as np
from PIL import Image

from service.codecs import DecodedImage
from service.planes import Pixels

FILTER = "lanczos"  # three lobes, stretched by the ratio, so that nothing aliases; docs/decisions/0033


def reduced(image: DecodedImage, *, height: int, width: int) -> DecodedImage:
    """The image at `height` x `width`, none of them larger than its own; 16 bits stay 16. `image` is not changed.

    Channel by channel, so that no more than one is in memory twice. Alpha is reduced as a picture of its own, and
    colour straight, not multiplied by it: where alpha hides it, it was filled from what is visible.
    """
    colour = reduced_colour(image.colour, height=height, width=width)
    alpha = None if image.alpha is None else _resized(image.alpha, height=height, width=width)
    return replace(image, colour=colour, alpha=alpha)


def reduced_colour(colour: Pixels, *, height: int, width: int) -> Pixels:
    """The same for [H,W,3] pixels."""
    made = np.empty((height, width, 3), colour.dtype)
    for channel in range(3):
        made[..., channel] = _resized(colour[..., channel], height=height, width=width)
    return made


def reduction_bytes(*, pixels: int, bits: int) -> int:
    """Memory that `reduced` takes beside its answer: a channel's copy, Pillow's own, and one reduced on one axis."""
    return 3 * pixels * bits // 8


def _resized(plane: Pixels, *, height: int, width: int) -> Pixels:
    picture = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def box_mean(plane: Pixels, factor: int) -> Pixels:
    """[H,W] -> each side divided by `factor` and rounded up: the rounded mean of every box, the last ones cut off."""
    height, width = (-(-side // factor) for side in plane.shape)
    means = np.empty((height, width), plane.dtype)
    starts = np.arange(width) * factor
    widths = np.diff(starts, append=plane.shape[1])
    for row in range(height):
        rows = plane[row * factor : (row + 1) * factor]
        counts = widths * len(rows)
        means[row] = (np.add.reduceat(rows.sum(axis=0, dtype=np.int64), starts) + counts // 2) // counts
    return means
