"""Batches contain faults: whatever a request has in it, it fails alone, and the others get their exact pictures."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cores import Cores
from service.errors import InferenceFailed, InternalError, ModelOutputInvalid, OutOfMemory
from service.planes import Plane
from service.tiling import Tile, plan_tiles
from service.work import Work, WorkStats
from tests import oracles
from tests.service.scheduling import (
    TILE,
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


def test_a_poisonous_request_fails_alone(sessions: Sessions) -> None:
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


def test_a_poisonous_tile_ends_its_request_and_the_rest_of_it_is_not_run(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, watch):
            bad = strip(sessions["poison"], tiles=50, name="bad")
            bad.planes[0].source[0, 0, 0] = oracles.POISON
            good = strip(sessions["poison"], tiles=3, name="good")
            outcomes = await asyncio.gather(*start(scheduler, bad, good), return_exceptions=True)
            assert isinstance(outcomes[0], InferenceFailed)
            assert isinstance(outcomes[0].__cause__, Exception)
            assert watch.batches.count(("bad",)) == 1
            assert is_exact(good)

    run(test())


def test_what_is_left_of_a_batch_is_not_run_for_a_request_that_has_failed(sessions: Sessions) -> None:
    async def test() -> None:
        async with running() as (scheduler, watch):
            poisoned = np.full((TILE, 4 * TILE, 3), oracles.POISON, np.uint8)
            with pytest.raises(InferenceFailed):
                await scheduler.run(work(sessions["poison"], poisoned))
        assert [len(batch) for batch in watch.batches] == [4, 2, 1]

    run(test())


def test_every_poisonous_request_gets_an_error_of_its_own(sessions: Sessions) -> None:
    async def test() -> None:
        poisoned = np.full((TILE, TILE, 3), oracles.POISON, np.uint8)
        async with running() as (scheduler, _):
            works = [work(sessions["poison"], poisoned, name=str(i)) for i in range(6)]
            outcomes = await asyncio.gather(*start(scheduler, *works), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {InferenceFailed}
        assert len({id(outcome) for outcome in outcomes}) == 6

    run(test())


def test_not_a_number_fails_its_own_request_only(sessions: Sessions) -> None:
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


def test_a_bug_in_one_request_does_not_stop_the_others(sessions: Sessions) -> None:
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


# --- memory


def test_a_batch_that_needs_too_much_memory_is_halved_and_later_ones_begin_smaller(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=16)) as (scheduler, watch):
            large = strip(sessions["hungry"], tiles=32, name="r")  # four tiles are what there is memory for
            await scheduler.run(large)
        assert [len(batch) for batch in watch.batches] == [16, 8, 4, 4, 8, 4, 4, *[4] * 4]
        assert scheduler.tally.out_of_memory == scheduler.tally.splits == 3
        assert scheduler.tally.tiles == 32
        assert is_exact(large)

    run(test())


def test_a_tile_for_which_there_is_never_enough_memory_fails_its_request_only(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(2)) as (scheduler, _):
            much = work(sessions["hungry"], picture(65, 130), name="much", max_tile=65)
            good = strip(sessions["hungry"], tiles=3, name="good")
            outcomes = await asyncio.gather(*start(scheduler, much, good), return_exceptions=True)
        assert isinstance(outcomes[0], OutOfMemory)
        assert "batch of shape [1, 65, 65, 3]" in outcomes[0].detail
        assert "Failed to allocate memory" in str(outcomes[0].__cause__)
        assert isinstance(outcomes[1], WorkStats)
        assert is_exact(good)

    run(test())


class Greedy(Plane):
    """A plane for which there is not enough memory while another of its kind is under way."""

    under_way = 0
    refused = 0
    both = threading.Barrier(2, timeout=TIMEOUT_S)

    def read(self, tile: Tile) -> NDArray[Any]:
        Greedy.under_way += 1
        try:
            if Greedy.refused == 0:
                Greedy.both.wait()
            if Greedy.under_way > 1:
                Greedy.refused += 1
                raise MemoryError
            return super().read(tile)
        finally:
            Greedy.under_way -= 1


def test_on_a_cpu_tiles_that_had_no_room_beside_each_other_are_run_one_by_one(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(2)) as (scheduler, _):
            plan = plan_tiles(TILE, TILE, halo=0, max_tile=TILE)
            planes = [Greedy(picture(TILE, TILE, seed=seed), 2) for seed in range(2)]
            works = [Work(sessions["nearest"], plan, [plane], str(i)) for i, plane in enumerate(planes)]
            await asyncio.gather(*start(scheduler, *works))
        assert scheduler.tally.out_of_memory == Greedy.refused >= 1
        assert all(is_exact(each) for each in works)

    run(test())
