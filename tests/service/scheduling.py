"""A scheduler under test: real sessions, requests of exact pictures, and a watch that can hold the device."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.cores import Cores
from service.planes import Plane
from service.scheduler import BatchRecord, Scheduler
from service.sessions import Session
from service.slots import Pipeline, Slots
from service.tiling import plan_tiles
from service.turns import QueueClass
from service.work import Work, WorkStats
from tests import oracles

TILE = 32
TILE_PIXELS = TILE * TILE
TIMEOUT_S = 60.0

Sessions = dict[str, Session]


class Watch:
    """An observer that notes every batch, and holds the workers before their runs after `hold`."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.records: list[BatchRecord] = []
        self.threads: set[str] = set()
        self._go = threading.Event()
        self._go.set()

    def __call__(self, record: BatchRecord) -> None:
        self.batches.append(record.request_ids)
        self.records.append(record)
        self.threads.add(threading.current_thread().name)
        assert self._go.wait(TIMEOUT_S)

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()


@asynccontextmanager
async def running(
    slots: Slots | None = None,
    **options: Any,  # noqa: ANN401 - the scheduler's own
) -> AsyncIterator[tuple[Scheduler, Watch]]:
    watch = Watch()
    scheduler = Scheduler(slots or gpu(), observer=watch, **options)
    scheduler.start()
    try:
        yield scheduler, watch
    finally:
        watch.release()
        await scheduler.aclose(drain=False)


def gpu(*, tiles: float = 16, max_wait_s: float = 0.0) -> Slots:
    """A GPU's slots, with so many tiles of TILE x TILE a batch."""
    return Pipeline(max_batch_pixels=int(tiles * TILE_PIXELS), max_wait_s=max_wait_s)


SLOTS: dict[str, Callable[[], Slots]] = {"one-core": lambda: Cores(1), "three-cores": lambda: Cores(3), "gpu": gpu}


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, TIMEOUT_S))


async def until(condition: Callable[[], object]) -> None:
    """Polls; that this works while the worker is held shows that the event loop is free."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
        await asyncio.sleep(0.002)


def picture(height: int, width: int, *, seed: int = 0, top: int = 250) -> NDArray[np.uint8]:
    """Random pixels below `top`; above, POISON among them, no value occurs."""
    return np.random.default_rng(seed).integers(0, top, (height, width, 3), np.uint8)


def work(
    session: Session,
    *sources: NDArray[Any],
    name: str = "r",
    max_tile: int = TILE,
    step: int = 16,
    queue_class: QueueClass = "interactive",
    deadline: float | None = None,
) -> Work:
    height, width = sources[0].shape[:2]
    plan = plan_tiles(height, width, halo=session.manifest.halo, max_tile=max_tile, step=step)
    return Work(
        session, plan, [Plane(source, session.manifest.scale) for source in sources], name, queue_class, deadline
    )


def strip(session: Session, *, tiles: int, name: str, seed: int = 0) -> Work:
    """A picture of that many tiles of TILE x TILE, side by side."""
    return work(session, picture(TILE, TILE * tiles, seed=seed), name=name)


def start(scheduler: Scheduler, *works: Work) -> list[asyncio.Task[WorkStats]]:
    return [asyncio.create_task(scheduler.run(each)) for each in works]


def is_exact(done: Work) -> bool:
    return all(np.array_equal(plane.output, oracles.nearest(plane.source, plane.scale)) for plane in done.planes)
