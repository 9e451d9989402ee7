"""A graph and its float32 twin: one function, rounded or not. And the pictures on which graphs are compared."""

from collections.abc import Iterator

import numpy as np

from export.errors import ParityFailed
from export.parity import BATCHES, PHOTOGRAPH_SIZE, SHAPES
from export.photographs import Pixels8, centre_crop, photographs
from service.manifest import Manifest
from service.sessions import Session

MAX_DIFFERENCE = 0.01  # grey levels beyond the half that rounding takes


def pictures(facts: Manifest) -> Iterator[tuple[str, Pixels8]]:
    """What each is, and uint8 [N,H,W,3]: noise of several shapes, then photographs."""
    random = np.random.default_rng(0)
    for batch, height, width in [(batch, *facts.fixed_size) for batch in BATCHES] if facts.fixed_size else SHAPES:
        yield f"noise [{batch}, {height}, {width}]", random.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    for name, photograph in photographs().items():
        yield name, centre_crop(photograph, *(facts.fixed_size or PHOTOGRAPH_SIZE))[np.newaxis]


def twin_difference(served: Session, exact: Session) -> float:
    """By how many grey levels the uint8 graph is off its float32 twin's answer, clamped and rounded; 0 if never.

    Raises ParityFailed above MAX_DIFFERENCE.
    """
    largest = 0.0
    for what, picture in pictures(served.manifest):
        expected = exact.run(picture.astype(np.float32) / 255).clip(0, 1) * 255
        difference = float(np.abs(served.run(picture).astype(np.float64) - expected).max()) - 0.5
        if difference > MAX_DIFFERENCE:
            raise ParityFailed(f"{what}: the uint8 graph is {difference:.3g} grey levels off its float32 twin")
        largest = max(largest, difference)
    return largest
