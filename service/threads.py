"""Threads: where pictures are decoded and encoded, so that the event loop goes on answering."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service.processors import usable_cores

P = ParamSpec("P")
T = TypeVar("T")


class CodecThreads:
    """`count` threads, or as many as there are cores to use; the codecs release the interpreter's lock."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count or usable_cores(), thread_name_prefix="codec")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises.

        A cancelled caller leaves at once if the function has not begun, and else when it has ended: until then its
        pixels are in memory, and whoever counts bytes must not count them as free.
        """
        context = contextvars.copy_context()
        future = self._pool.submit(context.run, functools.partial(function, *args, **kwargs))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancel():
                # gather, for it keeps to itself how the function ended: nobody is left to be told.
                await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)
            raise

    def close(self) -> None:
        """Waits for what is running; nothing new may come."""
        self._pool.shutdown()
