"""Work goes on at several items at once, results keep the items' order, and nothing is taken that is not worked on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from service.frames.ordered import in_order


class Source:
    """Numbers 0 to `count`; counts what was taken, and whether it was closed. Fails at `fails_at`."""

    def __init__(self, count: int, *, fails_at: int | None = None) -> None:
        self.count = count
        self.taken = 0
        self.closed = False
        self._fails_at = fails_at

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                if number == self._fails_at:
                    raise LookupError(number)
                self.taken += 1
                yield number
        finally:
            self.closed = True


class Work:
    """Each item waits for its gate; knows what is under way and what was cancelled."""

    def __init__(self) -> None:
        self.gates: dict[int, asyncio.Event] = {}
        self.cancelled: list[int] = []
        self.most_at_once = 0
        self._under_way = 0

    def gate(self, item: int) -> asyncio.Event:
        return self.gates.setdefault(item, asyncio.Event())

    async def __call__(self, item: int) -> int:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            await self.gate(item).wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            self._under_way -= 1
        return item * item


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def collect(results: AsyncGenerator[int, None], found: list[int]) -> None:
    """Adds each result to `found` as it comes."""
    async with aclosing(results):
        async for result in results:
            found.append(result)  # noqa: PERF401 - for what comes before an error


async def settle() -> None:
    """Everything that can happen without waiting has happened."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_results_keep_the_order_whatever_is_finished_first() -> None:
    async def scenario() -> None:
        work = Work()
        async with aclosing(in_order(Source(6)(), work, ahead=3)) as results:
            first = asyncio.create_task(anext(results))
            await settle()
            for item in (2, 1, 0, 5, 4, 3):
                work.gate(item).set()
                await settle()
            assert [await first] + [result async for result in results] == [0, 1, 4, 9, 16, 25]
        assert work.most_at_once == 3

    run(scenario)


def test_no_more_is_taken_than_is_worked_on() -> None:
    async def scenario() -> None:
        source, work = Source(100), Work()
        async with aclosing(in_order(source(), work, ahead=3)) as results:
            first = asyncio.create_task(anext(results))
            await settle()
            assert source.taken == 3
            for item in range(100):
                work.gate(item).set()
            assert await first == 0
            await settle()
            assert source.taken <= 4  # who does not come back for more gets no more

    run(scenario)


def test_an_empty_source_gives_nothing() -> None:
    async def scenario() -> None:
        async with aclosing(in_order(Source(0)(), Work(), ahead=2)) as results:
            assert [result async for result in results] == []

    run(scenario)


def test_an_error_of_the_source_comes_after_the_results_before_it() -> None:
    async def scenario() -> None:
        work = Work()
        for item in range(2):
            work.gate(item).set()
        found: list[int] = []
        with pytest.raises(LookupError):
            await collect(in_order(Source(9, fails_at=2)(), work, ahead=4), found)
        assert found == [0, 1]

    run(scenario)


def test_an_error_of_the_work_comes_in_its_turn_and_cancels_the_rest() -> None:
    async def scenario() -> None:
        waiting = Work()

        async def work(item: int) -> int:
            if item == 1:
                await settle()
                raise KeyError(item)
            if item == 0:
                return 0
            return await waiting(item)

        source = Source(9)
        found: list[int] = []
        with pytest.raises(KeyError):
            await collect(in_order(source(), work, ahead=4), found)
        assert found == [0]
        assert waiting.cancelled
        await settle()
        assert source.taken <= 5

    run(scenario)


def test_closing_cancels_what_is_under_way_and_waits_for_it() -> None:
    async def scenario() -> None:
        work = Work()
        work.gate(0).set()
        async with aclosing(in_order(Source(9)(), work, ahead=3)) as results:
            assert await anext(results) == 0
            await settle()
        assert work.cancelled

    run(scenario)


def test_a_caller_that_is_cancelled_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        work, source = Work(), Source(9)

        async def consume() -> None:
            async with aclosing(source()) as numbers, aclosing(in_order(numbers, work, ahead=3)) as results:
                async for _ in results:
                    pass

        consuming = asyncio.create_task(consume())
        await settle()
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
        assert sorted(work.cancelled) == [0, 1, 2]
        assert source.closed

    run(scenario)
