"""Frames: a clip that is sent while its answer comes; for AsyncClient and, over a loop in its own thread, for Client.

No frame is read ahead of what has been answered by more than `look_ahead`, whatever the clip's length. A clip is sent
once: what has been read from the caller's iterator cannot be read again. Until its first frame is wanted, attempts are
those of any call.
"""

import asyncio
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Coroutine, Generator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from srserve_client.answers import Answer, error_of
from srserve_client.clips import ClipReader, ClipSummary, ClipWriter, FailedFrame, Frame, without_filler
from srserve_client.duplex import Duplex
from srserve_client.errors import ConnectionFailed, SrserveError
from srserve_client.pictures import Picture, picture_bytes
from srserve_client.retries import RetryBudget, RetryPolicy

T = TypeVar("T")

OK = 200
BEGIN_PATIENCE_S = 1.0  # for the word that a body is wanted, which some gateways keep to themselves
NEXT_PATIENCE_S = 0.01  # for the next frame, before the service is told that this one has ended
CLOSE_PATIENCE_S = 1.0
_END = object()


@dataclass(frozen=True)
class ClipOrder:
    """What is asked for, and how. `timeout_s` is how long nothing may come of the clip; None: for ever."""

    url: httpx2.URL
    headers: dict[str, str]
    policy: RetryPolicy
    budget: RetryBudget
    look_ahead: int
    timeout_s: float | None

    def __post_init__(self) -> None:
        if self.look_ahead < 1:
            raise ValueError(f"look_ahead is at least 1 (is {self.look_ahead})")


class _Clip:
    """What both kinds have in common: the form, the answer's reader, the summary."""

    def __init__(self, order: ClipOrder) -> None:
        self.order = order
        self.writer = ClipWriter()
        self.request_id = uuid.uuid4().hex
        self.summary: ClipSummary | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept": "multipart/mixed", "Content-Type": self.writer.media_type, **self.order.headers}

    def is_frame(self, frame: Frame | FailedFrame) -> bool:
        """Whether it is one of the caller's, and not the empty one that had to close the form."""
        return frame.index < self.writer.count or not self.writer.has_filler

    def finish(self, reader: ClipReader) -> None:
        """The answer has ended. Raises what ended it too early."""
        summary = reader.summary
        if summary is not None:
            self.summary = without_filler(summary) if self.writer.has_filler else summary
        try:
            reader.finish()
        except SrserveError as error:
            error.request_id = error.request_id or self.request_id
            raise


class AsyncFrames:
    """The frames of the answer, in order: iterate over them once, to the end or in an `async with` block.

    `summary` is there after the last one. Raises, when the first frame is asked for, what the service refuses; at any
    time ConnectionFailed, DeadlineExpired, the problem that ended the clip, and whatever the caller's iterator raises.
    """

    def __init__(
        self,
        frames: Iterable[Picture] | AsyncIterable[Picture],
        order: ClipOrder,
        through: httpx2.AsyncClient | None = None,
    ) -> None:
        self._clip = _Clip(order)
        self._frames = _source(frames)
        self._room = asyncio.Semaphore(order.look_ahead)
        self._answers = self._duplex() if through is None else self._through(through)

    @property
    def summary(self) -> ClipSummary | None:
        """What came of the clip; None until it has ended."""
        return self._clip.summary

    @property
    def request_id(self) -> str:
        """The request's id, as in the service's log."""
        return self._clip.request_id

    def __aiter__(self) -> AsyncIterator[Frame | FailedFrame]:
        return self

    async def __anext__(self) -> Frame | FailedFrame:
        return await anext(self._answers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Break off; the service drops what is left of the clip."""
        await self._answers.aclose()

    async def _duplex(self) -> AsyncGenerator[Frame | FailedFrame]:
        connection = await self._connected()
        sender = asyncio.create_task(self._send(connection))
        try:
            await _unless_failed(connection.head(), sender)
            if connection.status != OK:
                raise await self._refusal(connection)
            reader = ClipReader(connection.headers.get("content-type", ""))
            body = connection.body()
            while chunk := await _unless_failed(anext(body, b""), sender):
                for frame in reader.feed(chunk):
                    if self._clip.is_frame(frame):
                        self._room.release()
                        yield frame
            self._clip.finish(reader)
        finally:
            await connection.aclose()
            sender.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sender

    async def _connected(self) -> Duplex:
        """A connection whose server wants the frames, of which none has been read yet."""
        order, attempts = self._clip.order, 0
        order.budget.earn()
        while True:
            attempts += 1
            try:
                connection = await Duplex.open(
                    order.url, self._clip.headers, timeout_s=order.timeout_s, request_id=self._clip.request_id
                )
                if await connection.may_begin(patience_s=BEGIN_PATIENCE_S) or connection.status == OK:
                    return connection
                raise await self._refusal(connection)
            except SrserveError as error:
                error.attempts = attempts
                pause_s = order.policy.pause_s(error, attempts=attempts)
                if pause_s is None or not order.budget.spend():
                    raise
                await asyncio.sleep(pause_s)

    async def _refusal(self, connection: Duplex) -> SrserveError:
        content = b"".join([chunk async for chunk in connection.body()])
        await connection.aclose()
        return error_of(Answer(connection.status, connection.headers, content, self._clip.request_id))

    async def _send(self, connection: Duplex) -> None:
        async with aclosing(self._frames):
            pull = asyncio.create_task(_next(self._frames))
            try:
                while True:
                    await asyncio.wait({pull}, timeout=NEXT_PATIENCE_S)
                    if self._clip.writer.count and (not pull.done() or self._room.locked()):
                        await connection.send(self._clip.writer.go_on())
                    frame = await pull
                    if frame is None:
                        break
                    content = await asyncio.to_thread(picture_bytes, frame)
                    await self._room.acquire()
                    await connection.send(self._clip.writer.frame(content))
                    pull = asyncio.create_task(_next(self._frames))
                await connection.send(self._clip.writer.end())
                await connection.finish()
            finally:
                pull.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await pull

    async def _through(self, http: httpx2.AsyncClient) -> AsyncGenerator[Frame | FailedFrame]:
        """Over a transport of the caller's, which sends the whole clip before it reads."""

        async def form() -> AsyncIterator[bytes]:
            while (frame := await _next(self._frames)) is not None:
                yield self._clip.writer.frame(await asyncio.to_thread(picture_bytes, frame))
            yield self._clip.writer.end()

        headers = {"X-Request-ID": self._clip.request_id, **self._clip.headers}
        async with http.stream("POST", self._clip.order.url, content=form(), headers=headers) as response:
            if response.status_code != OK:
                raise error_of(
                    Answer(response.status_code, response.headers, await response.aread(), self._clip.request_id)
                )
            reader = ClipReader(response.headers.get("content-type", ""))
            async for chunk in response.aiter_bytes():
                for frame in reader.feed(chunk):
                    yield frame
            self._clip.finish(reader)


class Frames:
    """The frames of the answer, in order: iterate over them once, to the end or in a `with` block.

    As AsyncFrames, which runs in a thread of its own; the caller's iterator is read in others, one frame at a time.
    """

    def __init__(self, frames: Iterable[Picture], order: ClipOrder, through: httpx2.Client | None = None) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: Generator[Frame | FailedFrame] | None = None
        self._inner: AsyncFrames | None = None
        if through is not None:
            self._clip = _Clip(order)
            self._answers = self._through(frames, through)
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="srserve-client-clip", daemon=True)
        self._thread.start()
        self._inner = AsyncFrames(frames, order)
        self._clip = self._inner._clip

    @property
    def summary(self) -> ClipSummary | None:
        """What came of the clip; None until it has ended."""
        return self._clip.summary

    @property
    def request_id(self) -> str:
        """The request's id, as in the service's log."""
        return self._clip.request_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame | FailedFrame:
        if self._answers is not None:
            return next(self._answers)
        if self._loop is None or self._inner is None:
            raise StopIteration
        try:
            return self._run(self._inner.__anext__())
        except StopAsyncIteration:
            self.close()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Break off; the service drops what is left of the clip."""
        if self._answers is not None:
            self._answers.close()
        if self._loop is None or self._inner is None:
            return
        loop, self._loop = self._loop, None
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._inner.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        with suppress(TimeoutError):  # of a caller's iterator that is waited for still
            loop.run_until_complete(asyncio.wait_for(loop.shutdown_default_executor(), CLOSE_PATIENCE_S))
        loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _through(self, frames: Iterable[Picture], http: httpx2.Client) -> Generator[Frame | FailedFrame]:
        def form() -> Iterable[bytes]:
            for frame in frames:
                yield self._clip.writer.frame(picture_bytes(frame))
            yield self._clip.writer.end()

        headers = {"X-Request-ID": self._clip.request_id, **self._clip.headers}
        with http.stream("POST", self._clip.order.url, content=form(), headers=headers) as response:
            if response.status_code != OK:
                raise error_of(Answer(response.status_code, response.headers, response.read(), self._clip.request_id))
            reader = ClipReader(response.headers.get("content-type", ""))
            for chunk in response.iter_bytes():
                yield from reader.feed(chunk)
            self._clip.finish(reader)


async def _unless_failed(awaited: Awaitable[T], sender: "asyncio.Task[None]") -> T:
    """What is awaited of the answer, unless what sends the clip fails first.

    A connection that breaks under the sender may have brought an answer before it broke: that is waited for.
    """
    task = asyncio.ensure_future(awaited)
    try:
        if not sender.done():
            await asyncio.wait({task, sender}, return_when=asyncio.FIRST_COMPLETED)
        if sender.done() and not sender.cancelled():
            error = sender.exception()
            if error is not None and not isinstance(error, ConnectionFailed):
                raise error
        return await task
    finally:
        task.cancel()


async def _source(frames: Iterable[Picture] | AsyncIterable[Picture]) -> AsyncGenerator[Picture]:
    """The frames; those of a sync iterator are pulled in a thread, for it may wait for a camera."""
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
        return
    iterator = iter(frames)
    while (pulled := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield pulled  # type: ignore[misc]  # it is no _END


async def _next(frames: AsyncGenerator[Picture]) -> "Picture | None":
    return await anext(frames, None)
