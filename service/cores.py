"""Cores: how tiles share the cores of a CPU: one tile a run, on one thread each under load, on all threads alone.

Measured with EDSR-baseline on 2 cores: batches gain nothing (0.83 to 1.10 times), a run on two threads takes 1.7 to 1.8
times less time, and two runs on one thread each take 6 to 12 % less of the cores (docs/decisions/0060).
"""

from service.batches import Batch
from service.memory_cap import MemoryCap
from service.turns import BATCH_SIZES, TileShape, Turns
from service.work import Job

EXPRESS_RATIO = 4  # a tile that is so many times smaller than all that run does not wait for them


class Cores:
    """`count` cores, each of which runs one tile, or all of them one.

    - Few tiles: each in turn on all threads. Few are less than half the cores; or, of a lone request, those by which
      its tiles are no multiple of the cores.
    - Else each worker runs one tile on one thread.
    - Express: while large tiles have all cores, one small tile at a time may run beside them: the operating system
      shares the cores out at once, where a tile, once begun, would have to be waited for.

    `max_batch_pixels` lets several tiles share a run, 0 does not.
    """

    overlap = False  # what stitches is a core as well

    def __init__(self, count: int, *, max_batch_pixels: int = 0) -> None:
        self.workers = count + 1  # one for the express
        self._count = count
        self._max_batch_pixels = max_batch_pixels
        self._few = max(2, count // 2)
        self._cap = MemoryCap()
        self._running: list[Batch] = []

    def take(self, turns: Turns[Job]) -> Batch | None:
        """The next tile, if there is a core for it."""
        first = turns.first()
        if first is None:
            return None
        under_way = [batch for batch in self._running if not batch.express]
        if not under_way:
            return self._batch(turns, first, spread=self._is_few(turns, first))
        one_thread_each = not any(batch.spread for batch in under_way)
        if one_thread_each and self._few <= len(under_way) + turns.waiting() and len(under_way) < self._count:
            return self._batch(turns, first)
        return self._express(turns, smallest=min(batch.pixels for batch in under_way))

    def wait_s(self, batch: Batch, turns: Turns[Job], *, now: float) -> float | None:
        """Never: what has been taken has its core."""
        return 0.0

    def start(self, batch: Batch, turns: Turns[Job]) -> None:
        """Nothing is left to be done."""

    def end(self, batch: Batch) -> None:
        """Its core is free."""
        self._running.remove(batch)
        self._cap.went_well()

    def ran_out(self, batch: Batch) -> bool:
        """What did not fit beside others may fit alone."""
        self._cap.ran_out(batch.together)
        return batch.together > batch.pixels

    def _is_few(self, turns: Turns[Job], first: Job) -> bool:
        tiles = turns.waiting()
        if len(first.waiting) == tiles:
            tiles %= self._count
        return 0 < tiles < self._few

    def _express(self, turns: Turns[Job], *, smallest: int) -> Batch | None:
        if any(batch.express for batch in self._running):
            return None
        small = turns.first(lambda shape: shape.pixels * EXPRESS_RATIO <= smallest)
        return None if small is None else self._batch(turns, small, express=True)

    def _batch(self, turns: Turns[Job], first: Job, *, spread: bool = False, express: bool = False) -> Batch | None:
        in_use = sum(batch.pixels for batch in self._running)
        if self._running and not self._cap.room(in_use + first.shape.pixels):
            return None
        units = turns.take(first, limit=self._limit(first.shape))
        batch = Batch(first.shape, units, spread=spread, express=express)
        self._running.append(batch)
        for other in self._running:
            other.together = max(other.together, in_use + batch.pixels)
        return batch

    def _limit(self, shape: TileShape) -> int:
        return min(max(self._max_batch_pixels // shape.pixels, 1), max(BATCH_SIZES))
