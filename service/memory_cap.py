"""Memory cap: how many pixels may be on the device at once, learned from each time that its memory ran out."""

CALM_BATCHES = 1000  # after so many without trouble twice as much is tried again: others may have left the device


class MemoryCap:
    """`pixels` is the cap, None as long as memory has never run out. Used under the scheduler's lock."""

    def __init__(self) -> None:
        self.pixels: int | None = None
        self._calm = 0

    def room(self, wanted: int) -> bool:
        """Whether `wanted` pixels may be on the device at once."""
        return self.pixels is None or wanted <= self.pixels

    def ran_out(self, pixels: int) -> None:
        """Memory ran out with so many pixels on the device: from now on at most half of them."""
        half = max(pixels // 2, 1)
        self.pixels = half if self.pixels is None else min(self.pixels, half)
        self._calm = 0

    def went_well(self) -> None:
        """A batch has been run."""
        self._calm += 1
        if self.pixels is not None and self._calm >= CALM_BATCHES:
            self.pixels *= 2
            self._calm = 0
