"""The scheduler: exact pictures whatever the crowd, nothing run for who has left, an orderly start and end."""

import asyncio
import gc
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cores import Cores
from service.costs import Costs, Network
from service.errors import DeadlineExceeded, Draining, InferenceFailed, NotReady
from service.planes import Plane
from service.scheduler import Scheduler
from service.sessions import Session
from service.slots import Slots
from service.tiling import Tile, plan_tiles
from service.work import Work
from tests import oracles
from tests.service.scheduling import (
    SLOTS,
    TILE,
    TILE_PIXELS,
    Sessions,
    gpu,
    is_exact,
    picture,
    run,
    running,
    start,
    strip,
    until,
    work,
)

# --- answers


@pytest.mark.parametrize("slots", SLOTS.values(), ids=SLOTS)
def test_many_requests_at_once_each_get_their_own_exact_picture(sessions: Sessions, slots: Callable[[], Slots]) -> None:
    async def test() -> None:
        sizes = [(1, 1), (70, 90), (32, 32), (1, 200), (200, 1), (33, 65), (64, 64), (100, 31)]
        works = [
            work(sessions[model], picture(*size, seed=seed), picture(*size, seed=99), name=f"{model}{seed}")
            for seed, size in enumerate(sizes)
            for model in ("nearest", "blur")
        ]
        works.append(work(sessions["float"], picture(70, 90).astype(np.uint16) * 257, name="16-bit"))
        async with running(slots()) as (scheduler, _):
            stats = await asyncio.gather(*(scheduler.run(each) for each in works))
        for each, stat in zip(works, stats, strict=True):
            assert stat.tiles == len(each.planes) * len(each.plan.tiles)
            for plane in each.planes:
                oracle = oracles.blur if each.session is sessions["blur"] else oracles.nearest
                assert np.array_equal(plane.output, oracle(plane.source, 2)), each.request_id

    run(test())


# --- cancellation


def test_a_cancelled_request_frees_its_tiles_within_one_batch(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=2)) as (scheduler, watch):
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


def test_cancelling_before_the_first_tile_leaves_no_trace(sessions: Sessions) -> None:
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


# --- deadlines


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_second_a_tile(session: Session) -> Costs:
    costs = Costs()
    for way in ("spread", "single"):
        costs.fit(Network.of(session.manifest), way, [(TILE_PIXELS, 1.0)])
    return costs


def test_what_cannot_meet_its_deadline_even_alone_is_not_begun(sessions: Sessions) -> None:
    async def test() -> None:
        clock = Clock()
        costs = a_second_a_tile(sessions["nearest"])
        async with running(Cores(1), costs=costs, clock=clock) as (scheduler, watch):
            late = work(sessions["nearest"], picture(TILE, 10 * TILE), name="late", deadline=clock.now + 5)
            good = work(sessions["nearest"], picture(TILE, 10 * TILE), name="good", deadline=clock.now + 11)
            outcomes = await asyncio.gather(*start(scheduler, late, good), return_exceptions=True)
        assert isinstance(outcomes[0], DeadlineExceeded)
        assert outcomes[0].members == {"tiles": 10, "tiles_begun": 0}
        assert set(watch.batches) == {("good",)}
        assert is_exact(good)

    run(test())


def test_what_becomes_late_is_dropped_before_its_next_tile(sessions: Sessions) -> None:
    async def test() -> None:
        clock = Clock()
        costs = a_second_a_tile(sessions["nearest"])
        async with running(Cores(1), costs=costs, clock=clock) as (scheduler, watch):
            watch.hold()
            late = work(sessions["nearest"], picture(TILE, 10 * TILE), name="late", deadline=clock.now + 9)
            (task,) = start(scheduler, late)
            await until(lambda: watch.batches)
            clock.now += 4  # nine tiles are left, and five seconds
            watch.release()
            with pytest.raises(DeadlineExceeded) as caught:
                await task
        assert watch.batches == [("late",)]
        assert caught.value.members == {"tiles": 10, "tiles_begun": 1}

    run(test())


def test_a_mere_guess_of_the_cost_drops_nobody(sessions: Sessions) -> None:
    async def test() -> None:
        clock = Clock()
        async with running(Cores(1), costs=Costs(), clock=clock) as (scheduler, _):
            hasty = work(sessions["nearest"], picture(TILE, 10 * TILE), name="hasty", deadline=clock.now + 1e-9)
            await scheduler.run(hasty)
        assert is_exact(hasty)

    run(test())


# --- what is to be expected


def test_the_forecast_is_that_of_the_work_alone_or_beside_those_that_wait(sessions: Sessions) -> None:
    async def test() -> None:
        session = sessions["nearest"]
        costs = a_second_a_tile(session)
        async with running(Cores(1), costs=costs, clock=Clock()) as (scheduler, watch):
            demand = strip(session, tiles=3, name="asked").demand
            assert scheduler.forecast(demand).total_s == pytest.approx(3.0)
            assert scheduler.backlog_s() == 0
            watch.hold()
            tasks = start(scheduler, strip(session, tiles=5, name="there"))
            await until(lambda: watch.batches)
            forecast = scheduler.forecast(demand)
            # One tile runs, for a second yet; then they go in turn, until these three are done.
            assert (forecast.alone_s, forecast.least_s) == pytest.approx((3.0, 7.0))
            assert scheduler.backlog_s() == pytest.approx(5.0)
            watch.release()
            await asyncio.gather(*tasks)

    run(test())


def test_every_run_corrects_the_costs(sessions: Sessions) -> None:
    async def test() -> None:
        session, clock = sessions["nearest"], Clock()
        costs = a_second_a_tile(session)

        class Slow(Plane):
            def read(self, tile: Tile) -> NDArray[Any]:
                clock.now += 3
                return super().read(tile)

        plan = plan_tiles(TILE, TILE, halo=0, max_tile=TILE)
        async with running(Cores(1), costs=costs, clock=clock) as (scheduler, _):
            for _ in range(30):
                await scheduler.run(Work(session, plan, [Slow(picture(TILE, TILE), 2)], "slow"))
        assert costs.seconds(Network.of(session.manifest), "single", TILE_PIXELS) == pytest.approx(3.0, rel=0.01)

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


def test_tiles_are_cut_run_and_stitched_in_the_workers_thread(sessions: Sessions) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            plane = Noting(picture(TILE, TILE * 4), 2)
            plan = plan_tiles(TILE, TILE * 4, halo=0, max_tile=TILE)
            (task,) = start(scheduler, Work(sessions["nearest"], plan, [plane], "r"))
            beats = 0
            while not task.done():
                await asyncio.sleep(0.005)
                beats += 1
        assert plane.threads == watch.threads
        assert all(name.startswith("inference-") for name in watch.threads)
        assert beats >= 8  # of the 80 that 0.4 s have: the loop went on

    run(test())


def test_queueing_and_inference_add_up_to_the_time_it_took(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, _):
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


def test_beside_source_and_output_one_batch_is_all_that_is_held(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=4)) as (scheduler, _):
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


def test_a_finished_picture_is_not_kept_by_the_idle_scheduler(sessions: Sessions) -> None:
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


def test_before_the_start_and_after_the_end_no_work_is_taken(sessions: Sessions) -> None:
    async def test() -> None:
        scheduler = Scheduler(Cores(1))
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
    run(Scheduler(Cores(1)).aclose())


def test_draining_finishes_all_that_was_accepted(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, watch):
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
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("inference-")]

    run(test())


def test_closing_without_draining_fails_what_waits_and_finishes_what_runs(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, watch):
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


def test_draining_can_be_cut_short(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, watch):
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
    sessions: Sessions, source: NDArray[Any], scale: int
) -> None:
    with pytest.raises(ValueError, match="r: a plane does not fit"):
        Work(sessions["nearest"], plan_tiles(8, 8, halo=0, max_tile=8), [Plane(source, scale)], "r")


# --- all at once


@pytest.mark.parametrize("slots", SLOTS.values(), ids=SLOTS)
def test_in_a_crowd_with_leavers_and_poison_everybody_else_gets_the_exact_picture(
    sessions: Sessions, slots: Callable[[], Slots]
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
        async with running(slots()) as (scheduler, watch), asyncio.TaskGroup() as crowd:
            for number in range(60):
                crowd.create_task(client(scheduler, number))
        assert any(len(set(batch)) > 1 for batch in watch.batches) == (slots is SLOTS["gpu"])

    run(test())
