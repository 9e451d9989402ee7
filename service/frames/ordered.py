"""In order: work on several items at once, results in the items' order, no more items taken than are worked on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    source: AsyncIterator[T], work: Callable[[T], Coroutine[Any, Any, R]], *, ahead: int
) -> AsyncGenerator[R, None]:
    """`work(item)` of every item of `source`, up to `ahead` at once, finished ones that wait their turn included.

    It goes on while the caller is busy with a result. The first error in the items' order ends it, be it of `source` or
    of `work`, after the results before it. Close it (contextlib.aclosing): what is under way is cancelled then, and
    waited for.
    """
    places = asyncio.Semaphore(ahead)
    line: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    begun: set[asyncio.Task[R]] = set()

    def begin(task: asyncio.Task[R]) -> None:
        begun.add(task)
        line.put_nowait(task)

    async def take() -> None:
        while True:
            await places.acquire()
            try:
                item = await anext(source)
            except StopAsyncIteration:
                line.put_nowait(None)
                return
            except Exception as error:  # noqa: BLE001 - its turn comes after the results before it
                begin(asyncio.create_task(_fail(error)))
                return
            begin(asyncio.create_task(work(item)))

    taking = asyncio.create_task(take())
    try:
        while (task := await line.get()) is not None:
            result = await task
            begun.discard(task)
            places.release()
            yield result
    finally:
        tasks = [taking, *begun]
        for task_under_way in tasks:
            task_under_way.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fail(error: Exception) -> NoReturn:
    raise error
