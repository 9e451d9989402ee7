"""A GPU's slots: tiles of all requests share batches, the next of which is made ready while one runs."""

import asyncio
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.costs import Way
from service.planes import Plane
from service.tiling import Tile, plan_tiles
from service.turns import Turns
from service.work import Job, Work
from tests import oracles
from tests.service.scheduling import (
    TILE,
    TILE_PIXELS,
    TIMEOUT_S,
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


def test_tiles_of_several_requests_share_one_run(sessions: Sessions) -> None:
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


def test_a_batch_is_bounded_by_pixels_and_of_a_recurring_size(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=7.005)) as (scheduler, watch):
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


def test_a_tile_larger_than_the_limit_still_goes_alone(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=0.001)) as (scheduler, watch):
            await scheduler.run(strip(sessions["nearest"], tiles=2, name="r"))
        assert watch.batches == [("r",), ("r",)]

    run(test())


def test_only_tiles_of_one_shape_and_one_session_share(sessions: Sessions) -> None:
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
        together = {frozenset(batch): len(batch) for batch in watch.batches[1:]}
        assert together == {frozenset("ab"): 4, frozenset({"other-model"}): 2, frozenset({"other-shape"}): 1}

    run(test())


def test_a_lone_tile_waits_for_company_but_not_for_ever(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=2, max_wait_s=TIMEOUT_S)) as (scheduler, watch):
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="a"))
            await asyncio.sleep(0.05)
            assert not watch.batches
            tasks += start(scheduler, strip(sessions["nearest"], tiles=1, name="b"))
            await asyncio.gather(*tasks)
            assert watch.batches == [("a", "b")]
        async with running(gpu(max_wait_s=0.05)) as (scheduler, watch):
            stats = await scheduler.run(strip(sessions["nearest"], tiles=1, name="alone"))
            assert watch.batches == [("alone",)]
            assert stats.queue_s >= 0.05

    run(test())


def test_waiting_for_company_ends_when_the_service_shuts_down(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(max_wait_s=TIMEOUT_S)) as (scheduler, watch):
            (task,) = start(scheduler, strip(sessions["nearest"], tiles=1, name="a"))
            await asyncio.sleep(0.02)
            await scheduler.aclose()
            assert (await task).tiles == 1
            assert watch.batches == [("a",)]

    run(test())


# --- double buffering


def test_while_a_batch_runs_the_next_is_cut(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=2)) as (scheduler, watch):
            watch.hold()
            planes = [Noting(picture(TILE, TILE * 2), 2) for _ in range(3)]
            plan = plan_tiles(TILE, TILE * 2, halo=0, max_tile=TILE)
            tasks = start(scheduler, *(Work(sessions["nearest"], plan, [plane], "r") for plane in planes))
            await until(lambda: sum(plane.reads for plane in planes) == 2)  # the first is held before it is cut
            await asyncio.sleep(0.02)
            assert sum(plane.reads for plane in planes) == 2  # and one is ready at a time
            watch.release()
            await asyncio.gather(*tasks)
        assert all(np.array_equal(plane.output, oracles.nearest(plane.source, 2)) for plane in planes)

    run(test())


class Noting(Plane):
    """Counts how often it was read, and may hold whoever writes it."""

    def __init__(self, source: NDArray[Any], scale: int) -> None:
        super().__init__(source, scale)
        self.reads = 0
        self.may_write = threading.Event()
        self.may_write.set()

    def read(self, tile: Tile) -> NDArray[Any]:
        self.reads += 1
        return super().read(tile)

    def write(self, tile: Tile, answer: NDArray[Any]) -> None:
        assert self.may_write.wait(TIMEOUT_S)
        super().write(tile, answer)


def test_while_a_batch_is_stitched_the_next_runs(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=1)) as (scheduler, _):
            plan = plan_tiles(TILE, TILE, halo=0, max_tile=TILE)
            slow = Noting(picture(TILE, TILE), 2)
            slow.may_write.clear()
            (task,) = start(scheduler, Work(sessions["nearest"], plan, [slow], "slow"))
            await until(lambda: slow.reads)
            await scheduler.run(strip(sessions["nearest"], tiles=1, name="other"))
            assert not task.done()
            slow.may_write.set()
            await task

    run(test())


def test_a_batch_that_is_ready_grows_until_it_starts(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=8)) as (scheduler, watch):
            watch.hold()
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="first"))
            await until(lambda: watch.batches)
            early = Noting(picture(TILE, TILE), 2)
            plan = plan_tiles(TILE, TILE, halo=0, max_tile=TILE)
            tasks += start(scheduler, Work(sessions["nearest"], plan, [early], "early"))
            await until(lambda: early.reads)  # it is ready, alone
            late = strip(sessions["nearest"], tiles=5, name="late")
            tasks += start(scheduler, late)
            await asyncio.sleep(0.02)
            watch.release()
            await asyncio.gather(*tasks)
        assert watch.batches == [("first",), ("early", "late", "late", "late"), ("late", "late")]
        assert early.reads == 1
        assert np.array_equal(early.output, oracles.nearest(early.source, 2))
        assert is_exact(late)

    run(test())


def test_who_leaves_a_batch_that_is_ready_is_not_run(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=4)) as (scheduler, watch):
            watch.hold()
            tasks = start(scheduler, strip(sessions["nearest"], tiles=1, name="first"))
            await until(lambda: watch.batches)
            stayer = strip(sessions["nearest"], tiles=3, name="stayer")
            leaver, staying = start(scheduler, strip(sessions["nearest"], tiles=1, name="leaver"), stayer)
            await asyncio.sleep(0.05)
            leaver.cancel()
            await asyncio.wait([leaver])
            watch.release()
            await asyncio.gather(*tasks, staying)
        assert watch.batches == [("first",), ("stayer",) * 2, ("stayer",)]  # a batch of three is none that recurs
        assert is_exact(stayer)

    run(test())


# --- what is to be expected


def test_alone_a_work_takes_as_few_batches_as_may_be() -> None:
    def seconds(way: Way, pixels: int) -> float:
        return 1.0 + pixels / TILE_PIXELS

    slots = gpu(tiles=8)
    assert slots.alone_s(19, TILE_PIXELS, seconds) == 2 * 9 + 3 + 2
    assert slots.lane_s(TILE_PIXELS, seconds) == 9 / 8


def test_the_stage_is_one_lane_with_what_runs(sessions: Sessions) -> None:
    async def test() -> None:
        slots, turns = gpu(tiles=1), Turns[Job]()
        assert slots.is_idle
        turns.join(Job(strip(sessions["nearest"], tiles=2, name="r"), now=50.0))
        running = slots.take(turns)
        assert running is not None
        assert not slots.is_idle  # it is ready
        slots.start(running, turns)
        running.ends_at = 53.0
        stage = slots.stage(now=50.0)
        assert (stage.lanes, stage.express_s) == ([(3.0, running.effort)], None)
        slots.end(running)
        assert slots.is_idle

    run(test())
