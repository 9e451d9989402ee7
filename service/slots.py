"""Slots: which tiles a free worker may take now, and when it may run them. A device has one or the other kind:

`Pipeline` for a GPU: one batch of many tiles runs while the next is cut and the last is stitched.
`Cores` (service/cores.py) for a CPU: one tile a run, on one core or on all of them.

Everything here happens under the scheduler's lock.
"""

from collections.abc import Callable
from typing import Protocol

from service.batches import Batch
from service.costs import Way
from service.memory_cap import MemoryCap
from service.rehearsal import Stage
from service.turns import BATCH_SIZES, Turns
from service.work import Job

Seconds = Callable[[Way, int], float]  # of a run in this way on so many pixels

PIPELINE_PIXELS = 16 * 256 * 256  # of a batch, where the operator does not say


class Slots(Protocol):
    """`workers` threads ask for a batch, for leave to run it, and tell when it has run.

    With `overlap` they tell so before the answers are stitched, so that the device does not wait for that. `lanes` is
    how many batches run at once.
    """

    workers: int
    overlap: bool
    lanes: int
    ways: tuple[Way, ...]  # that have to be calibrated

    def take(self, turns: Turns[Job]) -> Batch | None:
        """A batch for a worker that has none; None if there is nothing for it now."""

    def most_tiles(self, pixels: int) -> int:
        """The most tiles of so many pixels that a batch may have now."""

    def wait_s(self, batch: Batch, turns: Turns[Job], *, now: float) -> float | None:
        """Seconds until the batch may run: 0.0 now, None when something has changed."""

    def start(self, batch: Batch, turns: Turns[Job]) -> None:
        """It runs from now on."""

    def end(self, batch: Batch) -> None:
        """It has run, well or not."""

    def ran_out(self, batch: Batch) -> bool:
        """Memory ran out while it ran; less will be run at once. Whether its tiles are worth another try."""

    # --- what is to be expected

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""

    def stage(self, *, now: float) -> Stage:
        """What runs, and until when."""

    def lane_s(self, pixels: int, seconds: Seconds) -> float:
        """What a tile of so many pixels costs a lane where many wait."""

    def alone_s(self, tiles: int, pixels: int, seconds: Seconds) -> float:
        """What so many tiles take if there is nothing else."""


class Pipeline:
    """One batch runs, one is being made ready: double buffering with two threads.

    `max_batch_pixels` bounds the LR pixels of a batch, halos included; one tile always goes; 0 = about a million.
    `max_wait_s` is how long a request's first tile may wait for company when the device is idle, counted from its
    arrival. A batch that is ready grows until the moment it starts.
    """

    workers = 2
    overlap = True
    lanes = 1
    ways: tuple[Way, ...] = ("batch",)

    def __init__(self, *, max_batch_pixels: int = 0, max_wait_s: float = 0.0) -> None:
        self._max_batch_pixels = max_batch_pixels or PIPELINE_PIXELS
        self._max_wait_s = max_wait_s
        self._cap = MemoryCap()
        self._ready: Batch | None = None
        self._running: Batch | None = None

    def take(self, turns: Turns[Job]) -> Batch | None:
        """The next batch, unless another is ready and waits for the device."""
        first = turns.first()
        if self._ready is not None or first is None:
            return None
        self._ready = Batch(first.shape, turns.take(first, limit=self._limit(first.shape.pixels)))
        return self._ready

    def most_tiles(self, pixels: int) -> int:
        """As many as the operator allows, or fewer where memory ran out."""
        return self._limit(pixels)

    def wait_s(self, batch: Batch, turns: Turns[Job], *, now: float) -> float | None:
        """A batch waits for the device, and then for company if it has not waited long enough."""
        if self._running is not None:
            return None
        if len(batch.units) + turns.waiting(batch.shape) >= self._limit(batch.shape.pixels):
            return 0.0
        return max(batch.units[0].request.submitted_at + self._max_wait_s - now, 0.0)

    def start(self, batch: Batch, turns: Turns[Job]) -> None:
        """Takes along what has come meanwhile, or gives back what makes no recurring number; the next may be taken."""
        self._ready, self._running = None, batch
        room = min(self._limit(batch.shape.pixels), len(batch.units) + turns.waiting(batch.shape))
        due = next((size for size in BATCH_SIZES if size <= room), 0)
        for unit in reversed(batch.shorten(due)):
            turns.give_back(unit)
        while len(batch.units) < due:
            companion = turns.first(lambda shape: shape == batch.shape)
            assert companion is not None
            batch.units += turns.take(companion, limit=due - len(batch.units))

    def end(self, batch: Batch) -> None:
        """The device is free."""
        self._running = None
        self._cap.went_well()

    def ran_out(self, batch: Batch) -> bool:
        """One tile alone is what cannot be made less."""
        self._cap.ran_out(batch.pixels)
        return len(batch.units) > 1

    @property
    def is_idle(self) -> bool:
        """A batch that is ready will run at once."""
        return self._running is None and self._ready is None

    def stage(self, *, now: float) -> Stage:
        """One lane, and no express: a GPU runs one batch at a time."""
        running = self._running
        lane = (0.0, 0.0) if running is None else (max(running.ends_at - now, 0.0), running.effort)
        return Stage([lane], express_s=None, express_ratio=1.0)

    def lane_s(self, pixels: int, seconds: Seconds) -> float:
        """Its part of a full batch."""
        limit = self._limit(pixels)
        return seconds("batch", limit * pixels) / limit

    def alone_s(self, tiles: int, pixels: int, seconds: Seconds) -> float:
        """In as few batches as may be."""
        total_s, limit = 0.0, self._limit(pixels)
        for size in (size for size in BATCH_SIZES if size <= limit):
            total_s += tiles // size * seconds("batch", size * pixels)
            tiles %= size
        return total_s

    def _limit(self, pixels: int) -> int:
        """The most tiles of so many pixels that a batch may have."""
        most = min(self._max_batch_pixels, self._cap.pixels or self._max_batch_pixels)
        return min(max(most // pixels, 1), max(BATCH_SIZES))
