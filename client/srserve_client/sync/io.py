"""What sync code does its own way: it sleeps, works and waits in threads. The twin is aio/io.py."""

import concurrent.futures
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Generic, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a function that reads files or computes: in this thread."""
    return function(*args, **kwargs)


def read(file: IO[bytes], size: int) -> bytes:
    """At most `size` bytes of a file; no bytes at its end."""
    return file.read(size)


class Tasks(Generic[T]):
    """Work under way, in threads. Leaving the block waits for what has begun: a thread cannot be cancelled."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._pool = concurrent.futures.ThreadPoolExecutor(limit, thread_name_prefix="srserve-client")
        self._futures: set[concurrent.futures.Future[T]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._futures)

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin `function(*args)`."""
        self._futures.add(self._pool.submit(function, *args, **kwargs))

    def next(self) -> T:
        """Wait until one has ended, and give its result or raise its error."""
        done, _ = concurrent.futures.wait(self._futures, return_when=concurrent.futures.FIRST_COMPLETED)
        future = done.pop()
        self._futures.remove(future)
        return future.result()
