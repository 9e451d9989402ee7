"""Work: one request's pixels on their way through the scheduler, and how that went."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from service.costs import Network
from service.errors import DeadlineExceeded, ServiceError
from service.forecast import Forecast
from service.planes import Plane
from service.sessions import Runnable
from service.tiling import TilePlan
from service.turns import QueueClass, Request, TileShape


@dataclass(frozen=True, eq=False)
class Work:
    """One request's pixels: every plane is to be filled by `session`, cut as `plan` says.

    `deadline` is when it is of no use any more, by time.monotonic(). `forecast` is what was said of it at the door: of
    what becomes of it, is learned.

    Raises ValueError if the planes are not of the plan's size, or not for the session's graph.
    """

    session: Runnable
    plan: TilePlan
    planes: Sequence[Plane]
    request_id: str
    queue_class: QueueClass = "interactive"
    deadline: float | None = None
    forecast: Forecast | None = None

    def __post_init__(self) -> None:
        facts = self.session.manifest
        for plane in self.planes:
            if plane.source.shape[:2] != (self.plan.height, self.plan.width) or not plane.fits(facts):
                raise ValueError(f"{self.request_id}: a plane does not fit the plan, or the model {facts.model}")

    @property
    def demand(self) -> "Demand":
        """What it asks of the device."""
        shape = TileShape(self.session, self.plan.tile_height, self.plan.tile_width)
        return Demand(shape.network, len(self.planes) * len(self.plan.tiles), shape.pixels, self.queue_class)


@dataclass(frozen=True)
class Demand:
    """What a work asks of the device; known from a picture's header, before there are pixels."""

    network: Network
    tiles: int
    tile_pixels: int
    queue_class: QueueClass = "interactive"

    @property
    def effort(self) -> float:
        """What it counts in turns."""
        return self.tiles * self.tile_pixels * self.network.macs_per_pixel


@dataclass(frozen=True)
class WorkStats:
    """How a finished work went. `queue_s` and `infer_s` add up to all the time it took.

    `infer_s` is the time in which tiles of it were being cut, run or stitched, however many at once; `queue_s` is the
    rest, spent waiting for others. `largest_batch` counts tiles, those of other requests included.
    """

    tiles: int
    queue_s: float
    infer_s: float
    largest_batch: int


class Job(Request):
    """A work under way. Everything in it is under the scheduler's lock, but for the planes' pixels."""

    def __init__(self, work: Work, *, now: float) -> None:
        super().__init__(TileShape(work.session, work.plan.tile_height, work.plan.tile_width), work.queue_class)
        self.waiting = deque(product(work.planes, work.plan.tiles))
        self.request_id = work.request_id
        self.deadline = work.deadline
        self.forecast = work.forecast
        self.submitted_at = now
        self.tiles = self.unfinished = len(self.waiting)
        self.ended = False  # finished, failed or given up
        self.largest_batch = 0
        self._future: asyncio.Future[WorkStats] = asyncio.get_running_loop().create_future()
        self._under_way = 0
        self._begun_at = 0.0
        self._infer_s = 0.0

    async def outcome(self) -> WorkStats:
        """How it went, in the end. Raises the ServiceError that it was settled with."""
        return await self._future

    def begin(self, *, batch: int, now: float) -> None:
        """A tile of it has been taken, in a batch of so many."""
        if self._under_way == 0:
            self._begun_at = now
        self._under_way += 1
        self.largest_batch = max(self.largest_batch, batch)

    def pause(self, *, now: float) -> None:
        """A tile of it is under way no more, finished or not."""
        self._under_way -= 1
        if self._under_way == 0:
            self._infer_s += now - self._begun_at

    def stats(self, *, now: float) -> WorkStats:
        """How it went until now."""
        queue_s = now - self.submitted_at - self._infer_s
        return WorkStats(self.tiles, max(queue_s, 0.0), self._infer_s, self.largest_batch)

    def too_late(self, *, now: float) -> DeadlineExceeded:
        """Why it is dropped."""
        done = self.tiles - len(self.waiting)
        return DeadlineExceeded(
            f"The deadline cannot be met any more: {done} of {self.tiles} tiles had their turn in "
            f"{now - self.submitted_at:.1f} s.",
            members={"tiles": self.tiles, "tiles_begun": done},
        )

    def settle(self, outcome: WorkStats | ServiceError) -> None:
        """Hands the outcome to the loop that waits for it, from any thread."""

        def settle() -> None:
            if self._future.done():  # cancelled meanwhile
                return
            if isinstance(outcome, ServiceError):
                self._future.set_exception(outcome)
            else:
                self._future.set_result(outcome)

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._future.get_loop().call_soon_threadsafe(settle)
