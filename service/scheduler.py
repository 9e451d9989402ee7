"""Scheduler: the tiles of all requests take turns on the device, and share its forward passes.

Greedy: a batch leaves as soon as the device is free. Whose turn it is, service/turns.py knows; which tiles a worker may
run when, service/slots.py; how they are run, service/batches.py. Here they are put together: the threads, the one lock,
and what becomes of a request. Tiles are cut and stitched in the workers' threads: beside the sources and outputs of the
requests, the batches under way are all that is in memory, and the event loop only waits.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.batches import Batch
from service.costs import Costs, Way
from service.errors import Draining, NotReady, OutOfMemory, ServiceError
from service.forecast import Forecast
from service.outlook import Outlook
from service.slots import Slots
from service.turns import WEIGHTS, QueueClass, TileShape, Turns, Unit
from service.work import Demand, Job, Work, WorkStats


@dataclass(frozen=True)
class BatchRecord:
    """A batch about to run, as observers see it: `request_ids` has one entry per tile, of `most_tiles` there may be."""

    shape: TileShape
    request_ids: tuple[str, ...]
    way: Way
    most_tiles: int


Clock = Callable[[], float]
BatchObserver = Callable[[BatchRecord], None]


@dataclass
class Tally:
    """What has happened since the start. `splits` are batches run again in halves, after an error or for memory;
    `wasted_pixels` were run for requests that then failed or were given up.
    """

    batches: int = 0
    tiles: int = 0
    pixels: int = 0
    splits: int = 0
    wasted_pixels: int = 0
    out_of_memory: int = 0
    busy_s: float = 0.0  # of all workers together


@dataclass(frozen=True)
class Queued:
    """What waits in one class: tiles, their pixels, and the seconds since the oldest request came."""

    tiles: int
    pixels: int
    oldest_s: float


class Scheduler:
    """One device's queue. `observer` is called in a worker's thread before each run; `costs` learn from all of them."""

    def __init__(
        self,
        slots: Slots,
        *,
        costs: Costs | None = None,
        observer: BatchObserver | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self._slots = slots
        self._costs = costs or Costs(cores=slots.lanes)
        self._outlook = Outlook(slots, self._costs)
        self._clock = clock
        self._observer = observer
        self._changed = threading.Condition()
        self._turns: Turns[Job] = Turns()
        self._closing = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts the workers' threads; once."""
        if self._threads:
            raise RuntimeError("the scheduler was started before")
        self._threads = [
            threading.Thread(target=self._serve, name=f"inference-{number}", daemon=True)
            for number in range(self._slots.workers)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Work) -> WorkStats:
        """Fills the planes of `work`. When it is cancelled, none of its tiles starts any more.

        Raises InferenceFailed or ModelOutputInvalid for its own tiles only, DeadlineExceeded when it cannot meet its
        deadline any more, NotReady before start() and Draining after aclose().
        """
        job = Job(work, now=self._clock())
        self._submit(job)
        try:
            return await job.outcome()
        finally:
            self._withdraw(job)

    async def aclose(self, *, drain: bool = True) -> None:
        """Takes no more work, and returns when the workers have stopped; may be called again, more impatiently.

        With `drain`, all accepted work is finished first. Without, what has tiles waiting fails with Draining, and
        only the batches under way are finished.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if not drain:
            self._abandon()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def forecast(self, demand: Demand) -> Forecast:
        """When a work that came now would be done."""
        with self._changed:
            return self._outlook.forecast(demand, self._turns, now=self._clock())

    def backlog_s(self) -> float:
        """Seconds until all that waits should be done, if nothing more came."""
        with self._changed:
            return self._outlook.backlog_s(self._turns, now=self._clock())

    def queued(self) -> dict[QueueClass, Queued]:
        """What waits for the device now, by class."""
        with self._changed:
            now = self._clock()
            found: dict[QueueClass, Queued] = {}
            for name in WEIGHTS:
                jobs = [job for job in self._turns if job.queue_class == name]
                tiles = [len(job.waiting) for job in jobs]
                pixels = sum(count * job.shape.pixels for count, job in zip(tiles, jobs, strict=True))
                oldest_s = max((now - job.submitted_at for job in jobs), default=0.0)
                found[name] = Queued(sum(tiles), pixels, oldest_s)
            return found

    # --- the queue, under the lock

    def _submit(self, job: Job) -> None:
        with self._changed:
            if self._closing:
                raise Draining("The service is shutting down and takes no more work.")
            if not self._threads:
                raise NotReady("The service is starting.")
            self._turns.join(job)
            self._changed.notify_all()

    def _withdraw(self, job: Job) -> None:
        with self._changed:
            self._end(job)

    def _abandon(self) -> None:
        """Fails all work that has tiles waiting."""
        with self._changed:
            self._closing = True
            for job in self._turns:
                self._fail(job, Draining("The service is shutting down before this picture's turn came."))
            self._changed.notify_all()

    def _end(self, job: Job) -> None:
        if not job.ended and job.unfinished:
            self.tally.wasted_pixels += (job.tiles - job.unfinished) * job.shape.pixels
        job.ended = True
        self._turns.leave(job)

    def _fail(self, job: Job, error: ServiceError) -> None:
        if not job.ended:
            self._end(job)
            job.settle(error)

    def _take(self) -> Batch | None:
        """Waits for a batch that this worker may have; None when there will be no more."""
        with self._changed:
            while (batch := self._next()) is None:
                if self._closing and not self._turns:
                    return None
                self._changed.wait()
            return batch

    def _next(self) -> Batch | None:
        now = self._clock()
        for job in self._turns:
            if self._outlook.is_hopeless(job, now=now):
                self._fail(job, job.too_late(now=now))
        return self._slots.take(self._turns)

    def _may_start(self, batch: Batch) -> bool:
        with self._changed:
            return self._wait_s(batch) == 0.0

    def _wait_s(self, batch: Batch) -> float | None:
        wait_s = self._slots.wait_s(batch, self._turns, now=self._clock())
        return 0.0 if wait_s is not None and self._closing else wait_s

    def _start(self, batch: Batch) -> None:
        """Waits until the batch may run."""
        with self._changed:
            while (wait_s := self._wait_s(batch)) != 0.0:
                self._changed.wait(wait_s)
            batch.forget_the_ended()
            self._slots.start(batch, self._turns)
            now = self._clock()
            batch.ends_at = now + self._costs.seconds(batch.shape.network, batch.way, batch.pixels)
            for unit in batch.units:
                unit.request.begin(batch=len(batch.units), now=now)
            self._changed.notify_all()  # the next batch may be taken

    def _free(self, batch: Batch) -> None:
        """The batch is no longer on the device."""
        with self._changed:
            self._slots.end(batch)
            self._changed.notify_all()

    def _finish(self, unit: Unit[Job]) -> None:
        with self._changed:
            job = unit.request
            now = self._clock()
            job.pause(now=now)
            job.unfinished -= 1
            if job.ended:  # meanwhile
                self.tally.wasted_pixels += job.shape.pixels
            if job.unfinished == 0 and not job.ended:
                self._end(job)
                job.settle(job.stats(now=now))
                if job.forecast is not None:
                    self._outlook.learn(job.forecast, now - job.submitted_at)

    def _fault(self, part: Batch, error: ServiceError) -> list[Batch]:
        """What is to be run again, in this order, after `part` has failed with `error`."""
        with self._changed:
            again = False
            if isinstance(error, OutOfMemory):
                self.tally.out_of_memory += 1
                again = self._slots.ran_out(part)
            if len(part.units) > 1:
                self.tally.splits += 1
                return part.halves()
            (unit,) = part.units
            unit.request.pause(now=self._clock())
            if not again:
                self._fail(unit.request, error)
            elif not unit.request.ended:
                self._turns.give_back(unit)
            return []

    # --- a worker's thread

    def _serve(self) -> None:
        try:
            while batch := self._take():
                if not self._may_start(batch):
                    batch.make_ready()
                self._start(batch)
                self._execute(batch)
                del batch  # a finished picture is not kept in memory until the next one comes
        finally:
            self._abandon()  # nobody waits for a thread that has ended, for whatever reason

    def _execute(self, batch: Batch) -> None:
        """Runs the batch; if it fails, its halves, and so on, until the guilty tile fails its own request alone."""
        on_device = True
        rest = [batch]
        try:
            while rest:
                part = rest.pop(0)
                part.forget_the_ended()
                if not part.units:
                    continue
                error = self._run(part)
                if error is not None:
                    rest[:0] = self._fault(part, error)
                    continue
                if self._slots.overlap and not rest:
                    self._free(batch)  # the next one may run
                    on_device = False
                self._stitch(part)
        finally:
            if on_device:
                self._free(batch)

    def _run(self, part: Batch) -> ServiceError | None:
        """Runs it; returns what went wrong."""
        if self._observer is not None:
            names = tuple(unit.request.request_id for unit in part.units)
            most = max(self._slots.most_tiles(part.shape.pixels), len(names))  # one tile goes, however large
            self._observer(BatchRecord(part.shape, names, part.way, most))
        started = self._clock()
        error = part.run()
        with self._changed:
            seconds = self._clock() - started
            self.tally.busy_s += seconds
            if error is None:
                self._costs.learn(part.shape.network, part.way, part.pixels, seconds)
                self.tally.batches += 1
                self.tally.tiles += len(part.units)
                self.tally.pixels += part.pixels
        return error

    def _stitch(self, part: Batch) -> None:
        for unit, error in part.stitch():
            if error is None:
                self._finish(unit)
            else:
                self._fault(Batch(part.shape, [unit]), error)
