"""Both clients under one test: the async one behind sync methods, its event loop turning only while one runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

from srserve_client import AsyncClient, Client

CLIENTS = ["Client", "AsyncClient"]


class Blocking:
    """An object of the async half, its coroutines run to their end and its async iterators iterated."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:  # noqa: ANN401 - whatever the client gives
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        value = getattr(self._inner, name)
        if not callable(value):
            return self._wrapped(value)

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return self._wrapped(value(*args, **kwargs))

        return call

    def __iter__(self) -> Iterator[Any]:
        return self._iterated(aiter(self._inner))

    def __enter__(self) -> Self:
        self._runner.run(self._inner.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._inner.__aexit__(kind, error, trace))

    def _wrapped(self, value: Any) -> Any:  # noqa: ANN401
        if asyncio.iscoroutine(value):
            return self._wrapped(self._runner.run(value))
        if type(value).__name__.startswith("Async"):
            return Blocking(value, self._runner)
        return self._iterated(value) if isinstance(value, AsyncIterator) else value

    def _iterated(self, iterator: AsyncIterator[Any]) -> Iterator[Any]:
        async def step() -> tuple[bool, Any]:
            try:
                return True, await anext(iterator)
            except StopAsyncIteration:
                return False, None

        async def close() -> None:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

        try:
            while True:
                goes_on, value = self._runner.run(step())
                if not goes_on:
                    return
                yield self._wrapped(value)
        finally:
            self._runner.run(close())


def client_of(kind: str, runner: asyncio.Runner, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """A Client, or an AsyncClient behind the same methods."""
    return Client(*args, **kwargs) if kind == "Client" else Blocking(AsyncClient(*args, **kwargs), runner)
