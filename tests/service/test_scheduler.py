"""The scheduler shares real sessions between requests: exact answers, shared batches, fair turns, faults contained."""

import asyncio
import gc
import threading
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import Draining, InferenceFailed, InternalError, ModelOutputInvalid, NotReady
from service.planes import Plane
from service.scheduler import BatchRecord, Scheduler, Work, WorkStats
from service.sessions import Session
from service.tiling import Tile, plan_tiles
from tests import oracles

TILE = 32
TILE_PIXELS = TILE * TILE
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    store = oracles.make_store(tmp_path_factory.mktemp("store"))
    oracles.save_graph(store, "poison", 2, oracles.poison_graph())
    oracles.save_graph(store, "nan", 2, oracles.not_a_number_graph())
    files = {
        "nearest": "nearest/x2.onnx",
        "float": "nearest/x2.float32.onnx",
        "blur": "blur/x2.onnx",
        "poison": "poison/x2.onnx",
        "nan": "nan/x2.float32.onnx",
    }
    return {name: Session.open(store / file, device="cpu", threads=1) for name, file in files.items()}


class Watch:
    """An observer that notes every batch, and while `hold`s the worker before its next run."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.threads: set[str] = set()
        self._go = threading.Event()
        self._go.set()

    def __call__(self, record: BatchRecord) -> None:
        self.batches.append(record.request_ids)
        self.threads.add(threading.current_thread().name)
        assert self._go.wait(TIMEOUT_S)

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()


@asynccontextmanager
async def running(
    *, max_batch_pixels: int = 16 * TILE_PIXELS, max_wait_s: float = 0.0
) -> AsyncIterator[tuple[Scheduler, Watch]]:
    watch = Watch()
    scheduler = Scheduler(max_batch_pixels=max_batch_pixels, max_wait_s=max_wait_s, observer=watch)
    scheduler.start()
    try:
        yield scheduler, watch
    finally:
        watch.release()
        await scheduler.aclose(drain=False)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, TIMEOUT_S))


async def until(condition: Callable[[], object]) -> None:
    """Polls; that this works while the worker is held shows that the event loop is free."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
        await asyncio.sleep(0.002)


def picture(height: int, width: int, *, seed: int = 0, top: int = 250) -> NDArray[np.uint8]:
    """Random pixels below `top`; above, POISON among them, no value occurs."""
    return np.random.default_rng(seed).integers(0, top, (height, width, 3), np.uint8)


def work(session: Session, *sources: NDArray[Any], name: str = "r", max_tile: int = TILE, step: int = 16) -> Work:
    height, width = sources[0].shape[:2]
    plan = plan_tiles(height, width, halo=session.manifest.halo, max_tile=max_tile, step=step)
    return Work(session, plan, [Plane(source, session.manifest.scale) for source in sources], name)


def strip(session: Session, *, tiles: int, name: str, seed: int = 0) -> Work:
    """A picture of that many tiles of TILE x TILE, side by side."""
    return work(session, picture(TILE, TILE * tiles, seed=seed), name=name)


def start(scheduler: Scheduler, *works: Work) -> list[asyncio.Task[WorkStats]]:
    return [asyncio.create_task(scheduler.run(each)) for each in works]


def is_exact(done: Work) -> bool:
    return all(np.array_equal(plane.output, oracles.nearest(plane.source, plane.scale)) for plane in done.planes)


# --- answers


@pytest.mark.parametrize("max_batch_pixels", [0, 16 * TILE_PIXELS], ids=["one-tile", "sixteen-tiles"])
def test_many_requests_at_once_each_get_their_own_exact_picture(
    sessions: dict[str, Session], max_batch_pixels: int
) -> None:
    async def test() -> None:
        sizes = [(1, 1), (70, 90), (32, 32), (1, 200), (200, 1), (33, 65), (64, 64), (100, 31)]
        works = [
            work(sessions[model], picture(*size, seed=seed), picture(*size, seed=99), name=f"{model}{seed}")
            for seed, size in enumerate(sizes)
            for model in ("nearest", "blur")
        ]
        works.append(work(sessions["float"], picture(70, 90).astype(np.uint16) * 257, name="16-bit"))
        async with running(max_batch_pixels=max_batch_pixels) as (scheduler, _):
            stats = await asyncio.gather(*(scheduler.run(each) for each in works))
        for each, stat in zip(works, stats, strict=True):
            assert stat.tiles == len(each.planes) * len(each.plan.tiles)
            for plane in each.planes:
                oracle = oracles.blur if each.session is sessions["blur"] else oracles.nearest
                assert np.array_equal(plane.output, oracle(plane.source, 2)), each.request_id

    run(test())


# --- batches


def test_tiles_of_several_requests_share_one_run(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            watch.hold()
            names = ["first", "a", "b", "c", "d"]
            works = [strip(sessions["nearest"], tiles=1, name=name, seed=i) for i, name in enumerate(names)]
            tasks = start(scheduler, works[0])
            await until(lambda: watch.batches)  # the device is busy while the others come
            tasks += start(scheduler, *works[1:])
            await asyncio.sleep(0.02)
            watch.release()
            stats = await asyncio.gather(*tasks)
        assert watch.batches == [("first",), ("a", "b", "c", "d")]
        assert all(is_exact(each) for each in works)
        assert [stat.largest_batch for stat in stats] == [1, 4, 4, 4, 4]

    run(test())


def test_on_a_cpu_a_batch_is_one_tile_unless_asked_otherwise(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            works = [strip(sessions["nearest"], tiles=3, name=name) for name in "ab"]
            await asyncio.gather(*start(scheduler, *works))
        assert {len(batch) for batch in watch.batches} == {1}

    run(test())


def test_a_batch_is_bounded_by_pixels_and_of_a_recurring_size(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=7 * TILE_PIXELS + 5) as (scheduler, watch):
            big, small = strip(sessions["nearest"], tiles=11, name="big"), picture(8, 8)
            smalls = [work(sessions["nearest"], small, name=f"s{i}") for i in range(20)]
            watch.hold()
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="first"))
            await until(lambda: watch.batches)
            tasks += start(scheduler, big, *smalls)
            await asyncio.sleep(0.02)
            watch.release()
            await asyncio.gather(*tasks)
        sizes = {kind: [len(b) for b in watch.batches if b[0].startswith(kind)] for kind in ("big", "s")}
        assert sizes == {"big": [4, 4, 2, 1], "s": [16, 4]}  # 7 tiles of 32 x 32 have room for 112 of 8 x 8

    run(test())


def test_a_tile_larger_than_the_limit_still_goes_alone(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=1) as (scheduler, watch):
            await scheduler.run(strip(sessions["nearest"], tiles=2, name="r"))
        assert watch.batches == [("r",), ("r",)]

    run(test())


def test_only_tiles_of_one_shape_and_one_session_share(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            watch.hold()
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="first"))
            await until(lambda: watch.batches)
            tasks += start(
                scheduler,
                strip(sessions["nearest"], tiles=2, name="a"),
                strip(sessions["poison"], tiles=2, name="other-model"),
                work(sessions["nearest"], picture(TILE, TILE - 1), name="other-shape"),
                strip(sessions["nearest"], tiles=2, name="b"),
            )
            await asyncio.sleep(0.02)
            watch.release()
            await asyncio.gather(*tasks)
        assert watch.batches[1:] == [("a", "b", "a", "b"), ("other-model",) * 2, ("other-shape",)]

    run(test())


def test_a_lone_tile_waits_for_company_but_not_for_ever(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=2 * TILE_PIXELS, max_wait_s=TIMEOUT_S) as (scheduler, watch):
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="a"))
            await asyncio.sleep(0.05)
            assert not watch.batches
            tasks += start(scheduler, strip(sessions["nearest"], tiles=1, name="b"))
            await asyncio.gather(*tasks)
            assert watch.batches == [("a", "b")]
        async with running(max_wait_s=0.05) as (scheduler, watch):
            stats = await scheduler.run(strip(sessions["nearest"], tiles=1, name="alone"))
            assert watch.batches == [("alone",)]
            assert stats.queue_s >= 0.05

    run(test())


def test_waiting_for_company_ends_when_the_service_shuts_down(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_wait_s=TIMEOUT_S) as (scheduler, watch):
            (task,) = start(scheduler, strip(sessions["nearest"], tiles=1, name="a"))
            await asyncio.sleep(0.02)
            await scheduler.aclose()
            assert (await task).tiles == 1
            assert watch.batches == [("a",)]

    run(test())


# --- turns


def test_a_small_request_overtakes_a_large_one(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            watch.hold()
            large = strip(sessions["nearest"], tiles=30, name="large")
            (task,) = start(scheduler, large)
            await until(lambda: watch.batches)
            small = strip(sessions["nearest"], tiles=1, name="small")
            tasks = start(scheduler, small)
            await asyncio.sleep(0.02)
            watch.release()
            await asyncio.gather(task, *tasks)
        assert watch.batches.index(("small",)) <= 2  # of 31
        assert is_exact(small)
        assert is_exact(large)

    run(test())


# --- cancellation


def test_a_cancelled_request_frees_its_tiles_within_one_batch(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=2 * TILE_PIXELS) as (scheduler, watch):
            watch.hold()
            mate = strip(sessions["nearest"], tiles=9, name="mate")
            leaver, stayer = start(scheduler, strip(sessions["nearest"], tiles=100, name="leaver"), mate)
            await until(lambda: watch.batches)
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver  # at once, though its batch is still held
            watch.release()
            await stayer
        assert [batch for batch in watch.batches if "leaver" in batch] == watch.batches[:1]
        assert is_exact(mate)

    run(test())


def test_cancelling_before_the_first_tile_leaves_no_trace(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            watch.hold()
            first, second = start(scheduler, *(strip(sessions["nearest"], tiles=1, name=name) for name in "ab"))
            await until(lambda: watch.batches)
            leaver = start(scheduler, strip(sessions["nearest"], tiles=5, name="leaver"))[0]
            await asyncio.sleep(0.01)
            leaver.cancel()
            await asyncio.sleep(0.01)
            watch.release()
            await asyncio.gather(first, second)
            await scheduler.aclose()
        assert not any("leaver" in batch for batch in watch.batches)

    run(test())


# --- faults


def test_a_poisonous_request_fails_alone(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            watch.hold()
            works = [strip(sessions["poison"], tiles=1, name=str(i), seed=i) for i in range(9)]
            works[5].planes[0].source[3, 4, 1] = oracles.POISON
            tasks = start(scheduler, works[8])
            await until(lambda: watch.batches)
            tasks = start(scheduler, *works[:8]) + tasks
            await asyncio.sleep(0.02)
            watch.release()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [*[WorkStats] * 5, InferenceFailed, *[WorkStats] * 3]
        assert all(is_exact(each) for i, each in enumerate(works) if i != 5)
        assert [len(batch) for batch in watch.batches] == [1, 8, 4, 4, 2, 1, 1, 2]

    run(test())


def test_a_poisonous_tile_ends_its_request_and_the_rest_of_it_is_not_run(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            bad = strip(sessions["poison"], tiles=50, name="bad")
            bad.planes[0].source[0, 0, 0] = oracles.POISON
            good = strip(sessions["poison"], tiles=3, name="good")
            outcomes = await asyncio.gather(*start(scheduler, bad, good), return_exceptions=True)
            assert isinstance(outcomes[0], InferenceFailed)
            assert isinstance(outcomes[0].__cause__, Exception)
            assert watch.batches.count(("bad",)) == 1
            assert is_exact(good)

    run(test())


def test_what_is_left_of_a_batch_is_not_run_for_a_request_that_has_failed(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            poisoned = np.full((TILE, 4 * TILE, 3), oracles.POISON, np.uint8)
            with pytest.raises(InferenceFailed):
                await scheduler.run(work(sessions["poison"], poisoned))
        assert [len(batch) for batch in watch.batches] == [4, 2, 1]

    run(test())


def test_every_poisonous_request_gets_an_error_of_its_own(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        poisoned = np.full((TILE, TILE, 3), oracles.POISON, np.uint8)
        async with running() as (scheduler, _):
            works = [work(sessions["poison"], poisoned, name=str(i)) for i in range(6)]
            outcomes = await asyncio.gather(*start(scheduler, *works), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {InferenceFailed}
        assert len({id(outcome) for outcome in outcomes}) == 6

    run(test())


def test_not_a_number_fails_its_own_request_only(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            watch.hold()
            levels = picture(TILE, TILE).astype(np.uint16)
            works = [work(sessions["nan"], levels + i, name=str(i)) for i in range(4)]
            works[2].planes[0].source[0, 0, 0] = 65535
            tasks = start(scheduler, work(sessions["nan"], levels, name="first"))
            await until(lambda: watch.batches)
            tasks = start(scheduler, *works)
            await asyncio.sleep(0.02)
            watch.release()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert ("0", "1", "2", "3") in watch.batches
        assert [type(outcome) for outcome in outcomes] == [WorkStats, WorkStats, ModelOutputInvalid, WorkStats]
        assert all(is_exact(each) for i, each in enumerate(works) if i != 2)

    run(test())


class Unreadable(Plane):
    """A plane with a bug in it."""

    def read(self, tile: Tile) -> NDArray[Any]:
        raise KeyError(tile)


def test_a_bug_in_one_request_does_not_stop_the_others(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, _):
            plan = plan_tiles(8, 8, halo=0, max_tile=TILE)
            bad = Work(sessions["nearest"], plan, [Unreadable(picture(8, 8), 2)], "bad")
            good = work(sessions["nearest"], picture(8, 8), name="good")
            outcomes = await asyncio.gather(*start(scheduler, bad, good), return_exceptions=True)
            assert isinstance(outcomes[0], InternalError)
            assert isinstance(outcomes[0].__cause__, KeyError)
            assert is_exact(good)
            await scheduler.run(work(sessions["nearest"], picture(8, 8)))  # the thread is alive

    run(test())


# --- threads, time and memory


class Noting(Plane):
    """Notes which threads read and write it, slowly."""

    def __init__(self, source: NDArray[Any], scale: int) -> None:
        super().__init__(source, scale)
        self.threads: set[str] = set()

    def read(self, tile: Tile) -> NDArray[Any]:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return super().read(tile)

    def write(self, tile: Tile, sr: NDArray[Any]) -> None:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.05)
        super().write(tile, sr)


def test_tiles_are_cut_run_and_stitched_in_the_workers_thread(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            plane = Noting(picture(TILE, TILE * 4), 2)
            plan = plan_tiles(TILE, TILE * 4, halo=0, max_tile=TILE)
            (task,) = start(scheduler, Work(sessions["nearest"], plan, [plane], "r"))
            beats = 0
            while not task.done():
                await asyncio.sleep(0.005)
                beats += 1
        assert plane.threads == watch.threads == {"inference"}
        assert beats >= 8  # of the 80 that 0.4 s have: the loop went on

    run(test())


def test_queueing_and_inference_add_up_to_the_time_it_took(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, _):
            plan = plan_tiles(8, 8, halo=0, max_tile=TILE)
            works = [Work(sessions["nearest"], plan, [Noting(picture(8, 8), 2)], str(i)) for i in range(4)]
            started_at = time.perf_counter()
            stats = await asyncio.gather(*start(scheduler, *works))
            elapsed_s = time.perf_counter() - started_at
        assert all(stat.infer_s >= 0.1 for stat in stats)
        assert stats[3].queue_s >= 0.3  # three others were first
        assert elapsed_s - 0.1 <= stats[3].queue_s + stats[3].infer_s <= elapsed_s
        assert stats[0].queue_s <= elapsed_s - 0.3

    run(test())


def test_beside_source_and_output_one_batch_is_all_that_is_held(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=4 * TILE_PIXELS) as (scheduler, _):
            large = work(sessions["nearest"], picture(1024, 1024))
            await scheduler.run(work(sessions["nearest"], picture(64, 64)))
            tracemalloc.start()
            try:
                await scheduler.run(large)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert is_exact(large)
        assert peak < 0.2 * large.planes[0].source.nbytes  # 1024 tiles' bookkeeping, and four tiles' pixels

    run(test())


def test_a_finished_picture_is_not_kept_by_the_idle_scheduler(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running() as (scheduler, _):
            done = strip(sessions["nearest"], tiles=3, name="r")
            plane = weakref.ref(done.planes[0])
            await scheduler.run(done)
            del done
            gc.collect()
            await until(lambda: plane() is None)

    run(test())


# --- start and end


def test_before_the_start_and_after_the_end_no_work_is_taken(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        scheduler = Scheduler()
        with pytest.raises(NotReady):
            await scheduler.run(strip(sessions["nearest"], tiles=1, name="r"))
        scheduler.start()
        with pytest.raises(RuntimeError, match="started before"):
            scheduler.start()
        await scheduler.aclose()
        with pytest.raises(Draining):
            await scheduler.run(strip(sessions["nearest"], tiles=1, name="r"))
        await scheduler.aclose()

    run(test())


def test_a_scheduler_that_never_started_can_be_closed() -> None:
    run(Scheduler().aclose())


def test_draining_finishes_all_that_was_accepted(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            watch.hold()
            works = [strip(sessions["nearest"], tiles=4, name=str(i), seed=i) for i in range(5)]
            tasks = start(scheduler, *works)
            await until(lambda: watch.batches)
            closing = asyncio.create_task(scheduler.aclose(drain=True))
            await asyncio.sleep(0.02)
            with pytest.raises(Draining):
                await scheduler.run(works[0])
            assert not closing.done()
            watch.release()
            await closing
            assert [stat.tiles for stat in await asyncio.gather(*tasks)] == [4] * 5
            assert all(is_exact(each) for each in works)
        assert not [thread for thread in threading.enumerate() if thread.name == "inference"]

    run(test())


def test_closing_without_draining_fails_what_waits_and_finishes_what_runs(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            watch.hold()
            runs = strip(sessions["nearest"], tiles=1, name="runs")
            begun, *tasks = start(scheduler, runs)
            await until(lambda: watch.batches)
            tasks = start(scheduler, *(strip(sessions["nearest"], tiles=9, name=f"w{i}") for i in range(3)))
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(scheduler.aclose(drain=False))
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Draining] * 3  # at once, the device being busy
            watch.release()
            await closing
            assert (await begun).tiles == 1
            assert is_exact(runs)
        assert watch.batches == [("runs",)]

    run(test())


def test_draining_can_be_cut_short(sessions: dict[str, Session]) -> None:
    async def test() -> None:
        async with running(max_batch_pixels=0) as (scheduler, watch):
            watch.hold()
            (task,) = start(scheduler, strip(sessions["nearest"], tiles=1000, name="endless"))
            await until(lambda: watch.batches)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(scheduler.aclose(drain=True), 0.05)
            closing = asyncio.create_task(scheduler.aclose(drain=False))
            with pytest.raises(Draining):
                await task
            watch.release()
            await closing

    run(test())


@pytest.mark.parametrize(
    ("source", "scale"),
    [
        (np.zeros((8, 9, 3), np.uint8), 2),
        (np.zeros((8, 8, 3), np.uint16), 2),
        (np.zeros((8, 8, 3), np.uint8), 3),
    ],
    ids=["size", "pixel-type", "scale"],
)
def test_a_plane_that_does_not_fit_is_refused_before_it_is_queued(
    sessions: dict[str, Session], source: NDArray[Any], scale: int
) -> None:
    with pytest.raises(ValueError, match="r: a plane does not fit"):
        Work(sessions["nearest"], plan_tiles(8, 8, halo=0, max_tile=8), [Plane(source, scale)], "r")


# --- all at once


@pytest.mark.parametrize("max_batch_pixels", [0, 5 * TILE_PIXELS], ids=["one-tile", "batches"])
def test_in_a_crowd_with_leavers_and_poison_everybody_else_gets_the_exact_picture(
    sessions: dict[str, Session], max_batch_pixels: int
) -> None:
    async def client(scheduler: Scheduler, number: int) -> None:
        random = np.random.default_rng(number)
        height, width = random.choice([1, 31, 32, 64, 100, 128], 2)
        mine = work(sessions["poison"], picture(height, width, seed=number), name=str(number))
        await asyncio.sleep(random.random() * 0.05)
        if number % 5 == 0:
            mine.planes[0].source[-1, -1, -1] = oracles.POISON
            with pytest.raises(InferenceFailed):
                await scheduler.run(mine)
        elif number % 7 == 0:
            (task,) = start(scheduler, mine)
            await asyncio.sleep(random.random() * 0.01)
            task.cancel()
            await asyncio.wait([task])
        else:
            await scheduler.run(mine)
            assert is_exact(mine), number

    async def test() -> None:
        async with running(max_batch_pixels=max_batch_pixels) as (scheduler, watch), asyncio.TaskGroup() as crowd:
            for number in range(60):
                crowd.create_task(client(scheduler, number))
        assert any(len(set(batch)) > 1 for batch in watch.batches) == (max_batch_pixels > 0)

    run(test())
