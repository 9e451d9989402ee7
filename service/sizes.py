"""Sizes: which of a network's scales runs, and how large the answer is, for what the caller asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from service.errors import BadParameter, UnsupportedScale


@dataclass(frozen=True)
class Target:
    """The scale that runs, and the answer's size in pixels: that scale's, or smaller."""

    scale: int
    height: int
    width: int


@dataclass(frozen=True)
class SizeWish:
    """How large the answer is to be: `scale` times as large, or `width` and `height` in pixels; of a network with one
    scale, as large as it makes it where nothing is said.

    Of width and height one is enough, the other then keeps the proportions; both are taken as they are. Halves are
    rounded up. Everything from the picture's own size up to the model's largest scale can be had: the next larger scale
    runs, and its answer is reduced.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None

    def check(self, model: str, scales: Sequence[int]) -> None:
        """What can be refused before the picture is known. Raises BadParameter, UnsupportedScale."""
        sides = [name for name in ("width", "height") if getattr(self, name) is not None]
        if self.scale is None:
            if not sides and len(scales) > 1:
                raise _missing(scales)
            return
        if sides:
            raise BadParameter(
                f"scale and {sides[0]} exclude each other; give one of the two.", members={"parameter": sides[0]}
            )
        if not 1 <= self.scale <= max(scales):
            raise UnsupportedScale(
                f"The model {model} has no scale {self.scale:g}. It has {', '.join(map(str, scales))}. "
                f"Any number from 1 to {max(scales)} is made of those by reduction.",
                members={"supported": list(scales), "limit": [1, max(scales)], "actual": self.scale},
            )

    def target(self, model: str, scales: Sequence[int], *, height: int, width: int) -> Target:
        """For a picture of `height` x `width`, after `check`. Raises UnsupportedScale."""
        wanted_height, wanted_width = self._wanted(scales, height, width)
        for name, side, wanted in (("width", width, wanted_width), ("height", height, wanted_height)):
            if not side <= wanted <= side * max(scales):
                raise UnsupportedScale(
                    f"The answer would have a {name} of {wanted} pixels; of this picture's {width}x{height} the model "
                    f"{model} makes a {name} of {side} to {side * max(scales)}.",
                    members={"parameter": name, "limit": [side, side * max(scales)], "actual": wanted},
                )
        scale = next(
            scale for scale in sorted(scales) if wanted_height <= height * scale and wanted_width <= width * scale
        )
        return Target(scale, wanted_height, wanted_width)

    def _wanted(self, scales: Sequence[int], height: int, width: int) -> tuple[int, int]:
        if self.width is None and self.height is None:
            factor = Fraction(repr(self.scale or scales[0]))  # the decimal number that was written: 1.15 of 10 is 11.5
            return _rounded(height * factor), _rounded(width * factor)
        if self.width is None:
            assert self.height is not None
            return self.height, _rounded(Fraction(width * self.height, height))
        if self.height is None:
            return _rounded(Fraction(height * self.width, width)), self.width
        return self.height, self.width


def _rounded(side: Fraction) -> int:
    return max(1, math.floor(side + Fraction(1, 2)))


def _missing(scales: Sequence[int]) -> BadParameter:
    return BadParameter(
        f"The parameter scale is missing; choose one of: {', '.join(map(str, scales))}, or give width or height.",
        members={"parameter": "scale", "available": list(scales)},
    )
