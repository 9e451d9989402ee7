"""What async code does its own way: it sleeps, works and waits in asyncio's tasks. The twin is sync/io.py."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import IO, Any, Generic, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a function that reads files or computes, the event loop going on meanwhile."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def read(file: IO[bytes], size: int) -> bytes:
    """At most `size` bytes of a file; no bytes at its end."""
    return file.read(size) if isinstance(file, io.BytesIO) else await asyncio.to_thread(file.read, size)


class Tasks(Generic[T]):
    """Work under way. Leaving the block cancels what has not ended, and waits for it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._tasks: set[asyncio.Task[T]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin `function(*args)`."""
        self._tasks.add(asyncio.create_task(function(*args, **kwargs)))

    async def next(self) -> T:
        """Wait until one has ended, and give its result or raise its error."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = done.pop()
        self._tasks.remove(task)
        return task.result()
