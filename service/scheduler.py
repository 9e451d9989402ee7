"""Scheduler: the tiles of all requests take turns on the device, and share its forward passes.

Greedy: a batch leaves as soon as the device is free, and forms while it is busy. Requests take turns tile by tile, so
a small one overtakes a large one. Tiles are cut when their batch is assembled and stitched when it is done, both in
the worker's thread: beside the sources and outputs of the requests, one batch is all that is in memory, and the event
loop only waits.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from service.errors import Draining, InternalError, NotReady, ServiceError
from service.planes import Plane, batch_of
from service.sessions import Session
from service.tiling import TilePlan
from service.turns import BATCH_SIZES, Request, TileShape, Turns, Unit

_CUDA_BATCH_PIXELS = 16 * 256 * 256  # default where batches pay; on a CPU they do not (measured 0.83 to 1.10 times)


@dataclass(frozen=True, eq=False)
class Work:
    """One request's pixels: every plane is to be filled by `session`, cut as `plan` says.

    Raises ValueError if the planes are not of the plan's size, or not for the session's graph.
    """

    session: Session
    plan: TilePlan
    planes: Sequence[Plane]
    request_id: str

    def __post_init__(self) -> None:
        facts = self.session.manifest
        for plane in self.planes:
            if plane.source.shape[:2] != (self.plan.height, self.plan.width) or not plane.fits(facts):
                raise ValueError(f"{self.request_id}: a plane does not fit the plan, or the model {facts.model}")


@dataclass(frozen=True)
class WorkStats:
    """How a finished work went. `queue_s` and `infer_s` add up to all the time it took.

    `infer_s` is the time of the batches that held tiles of it, cutting and stitching included; `queue_s` is the rest,
    spent waiting for others. `largest_batch` counts tiles, those of other requests included.
    """

    tiles: int
    queue_s: float
    infer_s: float
    largest_batch: int


@dataclass(frozen=True)
class BatchRecord:
    """A batch about to run, as observers see it: `request_ids` has one entry per tile."""

    shape: TileShape
    request_ids: tuple[str, ...]


BatchObserver = Callable[[BatchRecord], None]


class _Job(Request):
    """A work under way. The worker's thread alone changes the times and counts, and `ended` is under the lock."""

    def __init__(self, work: Work) -> None:
        super().__init__(TileShape(work.session, work.plan.tile_height, work.plan.tile_width))
        self.waiting = deque(product(work.planes, work.plan.tiles))
        self.request_id = work.request_id
        self.future: asyncio.Future[WorkStats] = asyncio.get_running_loop().create_future()
        self.submitted_at = time.perf_counter()
        self.tiles = self.unfinished = len(self.waiting)
        self.ended = False  # finished, failed or given up
        self.infer_s = 0.0
        self.largest_batch = 0

    def stats(self) -> WorkStats:
        queue_s = time.perf_counter() - self.submitted_at - self.infer_s
        return WorkStats(self.tiles, max(queue_s, 0.0), self.infer_s, self.largest_batch)


class Scheduler:
    """One device's queue, served by one thread.

    `max_batch_pixels` bounds the LR pixels of a batch, halos included; one tile always goes. 0 = one tile on a CPU,
    about a million pixels on CUDA. `max_wait_s` is how long a request's first tile may wait for company when the
    device is idle, counted from its arrival. `observer` is called in the worker's thread before each run.
    """

    def __init__(
        self, *, max_batch_pixels: int = 0, max_wait_s: float = 0.0, observer: BatchObserver | None = None
    ) -> None:
        self._max_batch_pixels = max_batch_pixels
        self._max_wait_s = max_wait_s
        self._observer = observer
        self._changed = threading.Condition()
        self._turns: Turns[_Job] = Turns()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the worker's thread; once."""
        if self._thread is not None:
            raise RuntimeError("the scheduler was started before")
        self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

    async def run(self, work: Work) -> WorkStats:
        """Fills the planes of `work`. When it is cancelled, none of its tiles starts any more.

        Raises InferenceFailed or ModelOutputInvalid for its own tiles only, NotReady before start() and Draining
        after aclose().
        """
        job = _Job(work)
        self._submit(job)
        try:
            return await job.future
        finally:
            self._withdraw(job)

    async def aclose(self, *, drain: bool = True) -> None:
        """Takes no more work, and returns when the worker has stopped; may be called again, more impatiently.

        With `drain`, all accepted work is finished first. Without, what has tiles waiting fails with Draining, and
        only the batch under way is finished.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if not drain:
            self._abandon()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # --- the queue, under the lock

    def _submit(self, job: _Job) -> None:
        with self._changed:
            if self._closing:
                raise Draining("The service is shutting down and takes no more work.")
            if self._thread is None:
                raise NotReady("The service is starting.")
            self._turns.join(job)
            self._changed.notify_all()

    def _withdraw(self, job: _Job) -> None:
        with self._changed:
            self._end(job)

    def _abandon(self) -> None:
        """Fails all work that has tiles waiting."""
        with self._changed:
            self._closing = True
            for job in self._turns:
                self._fail(job, Draining("The service is shutting down before this picture's turn came."))

    def _end(self, job: _Job) -> None:
        job.ended = True
        self._turns.leave(job)

    def _fail(self, job: _Job, error: ServiceError) -> None:
        if not job.ended:
            self._end(job)
            _settle(job.future, error)

    def _next_batch(self) -> list[Unit[_Job]] | None:
        """Waits for work and takes the next batch; None when there will be no more."""
        with self._changed:
            while True:
                if self._turns:
                    patience_s = self._patience_s()
                    if patience_s <= 0:
                        return self._turns.take(limit=self._batch_limit())
                elif self._closing:
                    return None
                else:
                    patience_s = None
                self._changed.wait(patience_s)

    def _patience_s(self) -> float:
        """Seconds that the next batch may still wait for more tiles."""
        if self._closing or self._turns.available() >= self._batch_limit():
            return 0.0
        return self._turns.first.submitted_at + self._max_wait_s - time.perf_counter()

    def _batch_limit(self) -> int:
        """The most tiles that the next batch may have."""
        shape = self._turns.first.shape
        if self._max_batch_pixels == 0 and shape.session.device == "cpu":
            return 1
        pixels = self._max_batch_pixels or _CUDA_BATCH_PIXELS
        return min(max(pixels // shape.pixels, 1), max(BATCH_SIZES))

    # --- the worker's thread

    def _serve(self) -> None:
        try:
            while units := self._next_batch():
                self._execute(units)
                del units  # a finished picture is not kept in memory until the next one comes
        finally:
            self._abandon()  # nobody waits for a thread that has ended, for whatever reason

    def _execute(self, batch: list[Unit[_Job]]) -> None:
        """Runs the batch; if it fails, its halves, and so on, until the guilty tile fails its own request alone."""
        rest = [batch]
        while rest:
            units = [unit for unit in rest.pop() if not unit.request.ended]
            if not units:
                continue
            error = self._attempt(units)
            if error is None:
                self._finish(units)
            elif len(units) == 1:
                with self._changed:
                    self._fail(units[0].request, error)
            else:
                middle = len(units) // 2
                rest += [units[middle:], units[:middle]]

    def _attempt(self, units: list[Unit[_Job]]) -> ServiceError | None:
        """Cuts, runs and stitches; returns what went wrong."""
        started_at = time.perf_counter()
        try:
            self._run(units)
        except ServiceError as error:
            return error
        except Exception as cause:  # noqa: BLE001 - a fault in one request must not end the thread that serves all
            fault = InternalError("The picture could not be processed.")
            fault.__cause__ = cause
            return fault
        finally:
            seconds = time.perf_counter() - started_at
            for job in {unit.request for unit in units}:
                job.infer_s += seconds
                job.largest_batch = max(job.largest_batch, len(units))
        return None

    def _run(self, units: list[Unit[_Job]]) -> None:
        shape = units[0].request.shape
        if self._observer is not None:
            self._observer(BatchRecord(shape, tuple(unit.request.request_id for unit in units)))
        pixels, noise = batch_of([(unit.plane, unit.tile) for unit in units])
        for unit, answer in zip(units, shape.session.run(pixels, noise), strict=True):
            unit.plane.write(unit.tile, answer)

    def _finish(self, units: list[Unit[_Job]]) -> None:
        with self._changed:
            for unit in units:
                job = unit.request
                job.unfinished -= 1
                if job.unfinished == 0 and not job.ended:
                    self._end(job)
                    _settle(job.future, job.stats())


def _settle(future: asyncio.Future[WorkStats], outcome: WorkStats | ServiceError) -> None:
    """Hands the outcome to the loop that waits for it, from any thread."""

    def settle() -> None:
        if future.done():  # cancelled meanwhile
            return
        if isinstance(outcome, ServiceError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(settle)
