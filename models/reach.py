"""Receptive fields, found by walking a network backward: which pixels can change a given one.

A `halo_exact` is written as that walk, in the words of the paper's layer table, and proved by gradient in the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Span:
    """First and last pixel, along one axis and at one resolution, that something depends on.

    Each method goes one layer back: `self` is what is needed of the layer's output, the answer what it takes of its
    input. Rows and columns behave alike, so one axis is enough.
    """

    first: int
    last: int

    def conv(self, kernel: int = 3, *, layers: int = 1, stride: int = 1) -> Self:
        """Before `layers` convolutions of an odd kernel, zero-padded by kernel // 2; `stride` takes one layer."""
        reach = layers * (kernel // 2)
        return type(self)(self.first * stride - reach, self.last * stride + reach)

    def shuffle(self, factor: int) -> Self:
        """Before a pixel shuffle (or any other enlargement of each pixel to `factor` x `factor` pixels)."""
        return type(self)(self.first // factor, self.last // factor)

    def bilinear_x2(self) -> Self:
        """Before a bilinear enlargement by 2 with pixel centres at (i + 0.5) / 2 - 0.5 (not `align_corners`)."""
        return type(self)((self.first - 1) // 2, (self.last + 1) // 2)

    def displaced(self, pixels: int) -> Self:
        """Before a warp that moves by at most `pixels` either way."""
        return type(self)(self.first - pixels, self.last + pixels)

    def joined(self, other: Self) -> Self:
        """What two ways back need together."""
        return type(self)(min(self.first, other.first), max(self.last, other.last))


def radius(walk: Callable[[Span], Span], *, scale: int = 1, period: int = 1) -> int:
    """LR pixels, the most in any direction, that all SR pixels of one LR pixel reach beyond it.

    `walk` takes a span of SR pixels back to LR pixels. With strides the answer depends on where on their grid the
    pixel lies: all of `period` positions are tried.
    """
    spans = [(place, walk(Span(place * scale, (place + 1) * scale - 1))) for place in range(period)]
    return max(max(place - span.first, span.last - place) for place, span in spans)
