"""A CPU's cores: a lone tile has all of them, under load each has a tile, and a small one slips in beside large."""

import asyncio

import numpy as np
import pytest

from service.batches import Batch
from service.cores import Cores
from service.costs import Way
from service.planes import Plane
from service.slots import Slots
from service.tiling import plan_tiles
from service.turns import TileShape, Turns
from service.work import Job, Work
from tests.service.scheduling import TILE, Sessions, is_exact, picture, run, running, start, strip, until, work


class Bench:
    """Cores asked by nobody but the test; a batch is its request's name, with "!" for all threads, "^" for express."""

    def __init__(self, sessions: Sessions, count: int) -> None:
        self._session = sessions["nearest"]
        self.cores: Slots = Cores(count)
        self.turns: Turns[Job] = Turns()
        self.running: dict[str, Batch] = {}

    def submit(self, name: str, *, tiles: int = 1, side: int = TILE) -> None:
        plan = plan_tiles(side, side * tiles, halo=0, max_tile=side, step=1)
        planes = [Plane(np.zeros((side, side * tiles, 3), np.uint8), 2)]
        self.turns.join(Job(Work(self._session, plan, planes, name), now=0.0))

    def take(self) -> list[str]:
        """All that may run now."""
        taken = []
        while (batch := self.cores.take(self.turns)) is not None:
            assert self.cores.wait_s(batch, self.turns, now=0.0) == 0.0
            self.cores.start(batch, self.turns)
            (unit,) = batch.units
            name = unit.request.request_id + {"spread": "!", "express": "^"}.get(batch.way, "")
            self.running[name] = batch
            taken.append(name)
        return taken

    def end(self, name: str) -> list[str]:
        """`name` has run; what may run now."""
        self.cores.end(self.running.pop(name))
        return self.take()


def on(sessions: Sessions, count: int) -> Bench:
    return Bench(sessions, count)


# --- one tile on all, or one on each


def test_a_lone_tile_has_all_threads(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        bench.submit("a")
        assert bench.take() == ["a!"]

    run(test())


def test_under_load_each_core_has_a_tile(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        for name in "abcd":
            bench.submit(name)
        assert bench.take() == ["a", "b"]
        assert bench.end("b") == ["c"]
        assert bench.end("a") == ["d"]

    run(test())


def test_who_comes_while_one_core_is_busy_has_another(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        for name in "ab":
            bench.submit(name)
        assert bench.take() == ["a", "b"]
        assert bench.end("a") == []
        bench.submit("c")
        assert bench.take() == ["c"]

    run(test())


def test_what_a_lone_request_has_too_many_tiles_of_goes_first_on_all_threads(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        bench.submit("a", tiles=5)
        assert bench.take() == ["a!"]
        bench.cores.end(bench.running.pop("a!"))
        assert bench.take() == ["a", "a"]

    run(test())


def test_few_tiles_on_many_cores_go_in_turn_on_all_threads(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 8)
        for name in "abc":
            bench.submit(name)
        assert bench.take() == ["a!"]
        assert bench.end("a!") == ["b!"]
        bench.submit("d")
        assert bench.end("b!") == ["c!"]

    run(test())


def test_half_as_many_tiles_as_cores_are_many(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 8)
        for name in "abcd":
            bench.submit(name)
        assert bench.take() == ["a", "b", "c", "d"]
        # Now few are left: the cores come free for all threads at once instead of one thread for ever.
        bench.submit("e")
        assert bench.end("a") == ["e"]
        bench.submit("f")
        assert bench.end("b") == ["f"]
        for name in "cde":
            assert bench.end(name) == []
        bench.submit("g")
        assert bench.take() == []
        assert bench.end("f") == ["g!"]

    run(test())


def test_one_core_has_one_tile_at_a_time(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 1)
        bench.submit("a", tiles=2)
        bench.submit("b")
        assert bench.take() == ["a"]
        assert bench.end("a") == ["b"]
        assert bench.end("b") == ["a"]

    run(test())


# --- express


@pytest.mark.parametrize("tiles", [1, 2], ids=["all-threads", "a-core-each"])
def test_a_small_tile_does_not_wait_for_large_ones_but_the_next_small_one_for_it(
    sessions: Sessions, tiles: int
) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        bench.submit("large", tiles=tiles, side=64)
        large = "large!" if tiles == 1 else "large"
        assert bench.take() == [large] * tiles
        bench.submit("same", side=64)
        bench.submit("x", side=32)
        bench.submit("y", side=32)
        bench.submit("nearly", side=46)
        assert bench.take() == ["x^"]
        assert bench.end("x^") == ["y^"]

    run(test())


def test_the_express_is_for_what_is_small_beside_all_that_runs(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        bench.submit("large", side=64)
        bench.submit("medium", side=40)
        assert bench.take() == ["medium", "large"]
        bench.submit("small", side=30)
        assert bench.take() == []
        bench.submit("tiny", side=20)
        assert bench.take() == ["tiny^"]

    run(test())


# --- memory


def test_what_ran_out_of_memory_beside_others_is_tried_alone(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        bench.submit("a", tiles=3)
        bench.submit("b")
        assert bench.take() == ["a", "b"]
        assert bench.cores.ran_out(bench.running["b"])
        (unit,) = bench.running["b"].units
        bench.turns.give_back(unit)
        assert bench.end("b") == []  # both at once were too much
        (alone,) = bench.end("a")
        assert not bench.cores.ran_out(bench.running[alone])

    run(test())


# --- with real threads and sessions


def test_on_a_cpu_a_batch_is_one_tile_and_three_cores_have_three(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(3)) as (scheduler, watch):
            watch.hold()
            works = [strip(sessions["nearest"], tiles=3, name=name) for name in "abc"]
            tasks = start(scheduler, *works)
            await until(lambda: len(watch.batches) == 3)
            await asyncio.sleep(0.02)
            assert len(watch.batches) == 3
            watch.release()
            await asyncio.gather(*tasks)
        assert {len(batch) for batch in watch.batches} == {1}
        assert all(is_exact(each) for each in works)

    run(test())


def test_a_small_request_is_answered_while_a_large_tile_runs(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(2)) as (scheduler, watch):
            watch.hold()
            large = work(sessions["nearest"], picture(64, 128), name="large", max_tile=64)
            (task,) = start(scheduler, large)
            await until(lambda: len(watch.batches) == 2)
            small = strip(sessions["nearest"], tiles=1, name="small")
            (second,) = start(scheduler, small)
            await until(lambda: watch.records[-1].way == "express")
            watch.release()
            await asyncio.gather(task, second)
        assert is_exact(small)
        assert is_exact(large)

    run(test())


def test_a_small_request_overtakes_a_large_one(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(Cores(1)) as (scheduler, watch):
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


# --- what is to be expected


def seconds(way: Way, pixels: int) -> float:
    return {"spread": 10.0, "single": 16.0}[way]


@pytest.mark.parametrize(
    ("cores", "tiles", "expected"),
    [(2, 1, 10.0), (2, 2, 16.0), (2, 5, 42.0), (1, 3, 48.0), (8, 3, 30.0), (8, 5, 16.0), (8, 18, 52.0)],
)
def test_alone_a_work_takes_its_rounds_on_one_thread_each_and_the_remainder_on_all(
    cores: int, tiles: int, expected: float
) -> None:
    assert Cores(cores).alone_s(tiles, 1000, seconds) == expected


def test_the_stage_says_when_each_core_and_the_express_should_be_free(sessions: Sessions) -> None:
    async def test() -> None:
        bench = on(sessions, 2)
        effort = TileShape(sessions["nearest"], 64, 64).effort
        assert bench.cores.is_idle
        assert bench.cores.stage(now=50.0).lanes == [(0.0, 0.0)] * 2
        bench.submit("a", side=64)
        bench.take()
        bench.running["a!"].ends_at = 57.0
        assert bench.cores.stage(now=50.0).lanes == [(7.0, effort)] * 2  # it has both
        assert bench.cores.stage(now=60.0).lanes == [(0.0, effort)] * 2  # late, and due at any moment
        bench.submit("x", side=32)
        assert bench.take() == ["x^"]
        bench.running["x^"].ends_at = 51.0
        stage = bench.cores.stage(now=50.0)
        assert (stage.lanes, stage.express_s) == ([(7.0, effort)] * 2, 1.0)
        assert not bench.cores.is_idle

    run(test())
