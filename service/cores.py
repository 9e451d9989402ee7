"""Cores: how tiles share the cores of a CPU: one tile a run, on one thread each under load, on all threads alone.

Measured with EDSR-baseline on 2 cores: batches gain nothing (0.83 to 1.10 times), a run on two threads takes 1.7 to 1.8
times less time, and two runs on one thread each take 6 to 12 % less of the cores (docs/decisions/0060).
"""

from service.batches import Batch
from service.costs import Way
from service.memory_cap import MemoryCap
from service.rehearsal import Stage
from service.slots import Seconds
from service.turns import BATCH_SIZES, Turns
from service.work import Job

EXPRESS_RATIO = 2  # a tile that takes so many times less than each that runs does not wait for them


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
        self.lanes = count
        self.ways: tuple[Way, ...] = ("spread", "single") if count > 1 else ("single",)
        self._max_batch_pixels = max_batch_pixels
        self._few = max(2, count // 2)
        self._cap = MemoryCap()
        self._running: list[Batch] = []

    def take(self, turns: Turns[Job]) -> Batch | None:
        """The next tile, if there is a core for it."""
        first = turns.first()
        if first is None:
            return None
        under_way = self._ordinary()
        if not under_way:
            return self._batch(turns, first, "spread" if self._is_few(turns, first) else "single")
        one_thread_each = not any(batch.way == "spread" for batch in under_way)
        if one_thread_each and self._few <= len(under_way) + turns.waiting() and len(under_way) < self.lanes:
            return self._batch(turns, first, "single")
        if not self._has_express():
            return None
        small = turns.first(lambda shape: self._is_small(shape.effort))
        return None if small is None else self._batch(turns, small, "express")

    def most_tiles(self, pixels: int) -> int:
        """One, unless the operator says otherwise: batches gain nothing on a CPU."""
        return min(max(self._max_batch_pixels // pixels, 1), max(BATCH_SIZES))

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

    @property
    def is_idle(self) -> bool:
        """No core is busy."""
        return not self._running

    def stage(self, *, now: float) -> Stage:
        """A run on all threads has all lanes."""
        lanes = [
            (max(batch.ends_at - now, 0.0), batch.effort)
            for batch in self._ordinary()
            for _ in range(self.lanes if batch.way == "spread" else 1)
        ]
        ends = [batch.ends_at for batch in self._running if batch.way == "express"]
        lanes += [(0.0, 0.0)] * (self.lanes - len(lanes))
        return Stage(lanes, express_s=max(max(ends, default=now) - now, 0.0), express_ratio=EXPRESS_RATIO)

    def lane_s(self, pixels: int, seconds: Seconds) -> float:
        """A core's time."""
        return seconds("single", pixels)

    def alone_s(self, tiles: int, pixels: int, seconds: Seconds) -> float:
        """The remainder on all threads, the others on a thread each."""
        rounds, remainder = divmod(tiles, self.lanes)
        if 0 < remainder < self._few:
            return rounds * seconds("single", pixels) + remainder * seconds("spread", pixels)
        return (rounds + (remainder > 0)) * seconds("single", pixels)

    def _ordinary(self) -> list[Batch]:
        return [batch for batch in self._running if batch.way != "express"]

    def _is_few(self, turns: Turns[Job], first: Job) -> bool:
        tiles = turns.waiting()
        if len(first.waiting) == tiles:
            tiles %= self.lanes
        return 0 < tiles < self._few

    def _has_express(self) -> bool:
        return not any(batch.way == "express" for batch in self._running)

    def _is_small(self, effort: float) -> bool:
        return EXPRESS_RATIO * effort <= min(batch.effort for batch in self._ordinary())

    def _batch(self, turns: Turns[Job], first: Job, way: Way) -> Batch | None:
        in_use = sum(batch.pixels for batch in self._running)
        if self._running and not self._cap.room(in_use + first.shape.pixels):
            return None
        batch = Batch(first.shape, turns.take(first, limit=self.most_tiles(first.shape.pixels)), way)
        self._running.append(batch)
        for other in self._running:
            other.together = max(other.together, in_use + batch.pixels)
        return batch
