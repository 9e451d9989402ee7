"""Body: the bytes of one picture out of a request, raw or as a form's one file, never more than may be held.

Refused in this order: a Content-Length above the limit (before a byte is read), bytes above the limit (as they come,
for a chunked body has no length), too slow a sender, a broken form, an empty picture.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive

from service.errors import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    ClientClosed,
    EmptyBody,
    MissingFile,
    TooManyParts,
    UnsupportedMedia,
)
from service.forms import FormReader, PartBegin, PartData, form_boundary
from service.problems import shorten

T = TypeVar("T")

FILE_FIELD = "file"
LONGEST_LENGTH = 18  # digits of a Content-Length


@dataclass(frozen=True)
class Upload:
    """One picture as it came; `media_type` is the Content-Type of the body or of the form's part, empty if none."""

    content: bytes
    media_type: str


class BodyStream:
    """The bytes of one request's body as they come. `max_bytes` bounds the whole body, a form's wrapping included."""

    def __init__(self, headers: Headers, receive: Receive, *, max_bytes: int | None) -> None:
        """Raises UnsupportedMedia for a compressed body, BodyTooLarge for one that declares too much."""
        self._receive = receive
        self._max_bytes = max_bytes
        self._complete = asyncio.Event()
        self.content_type = headers.get("content-type", "")
        self.received_bytes = 0
        self.declared_bytes = _declared_bytes(headers)
        _check_encoding(headers)
        if self.declared_bytes is not None:
            self._check_size(self.declared_bytes)

    async def chunk(self) -> bytes | None:
        """The next bytes, maybe none; None after the last. The sender waits while nobody asks.

        Raises BodyTooLarge, and ClientClosed when the client goes away in the middle.
        """
        if self._complete.is_set():
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientClosed("The client went away while it sent the body.")
        if not message.get("more_body", False):
            self._complete.set()
        chunk: bytes = message.get("body", b"")
        self.received_bytes += len(chunk)
        self._check_size(self.received_bytes)
        return chunk

    def timeout(self, seconds: float) -> BodyTimeout:
        """The error for a body of which more should have come in that time."""
        return BodyTimeout(
            f"{self.received_bytes} bytes have come, the {seconds:g} s for them are over, and more is due.",
            members={"limit": seconds, "received_bytes": self.received_bytes},
            headers={"Connection": "close"},  # the rest of the body, should it come, is no next request
        )

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled with ClientClosed when the client goes away.

        Before the last chunk it is for who reads them to notice. Neither uvicorn nor FastAPI cancels a handler by
        itself.
        """
        worker = asyncio.create_task(work)
        watcher = asyncio.create_task(self._disconnected())
        try:
            await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if worker.done():
                return worker.result()
            raise ClientClosed("The client went away before its answer was ready.")
        finally:
            worker.cancel()
            watcher.cancel()
            await asyncio.gather(worker, watcher, return_exceptions=True)

    async def _disconnected(self) -> None:
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _check_size(self, actual: int) -> None:
        if self._max_bytes is not None and actual > self._max_bytes:
            raise BodyTooLarge(
                f"The body has {actual} bytes or more, and the limit is {self._max_bytes}.",
                members={"limit": self._max_bytes, "actual": actual},
            )


class OneFile:
    """Takes a body chunk by chunk and gives the bytes of the one file in it, be the body that file or a form."""

    def __init__(self, content_type: str) -> None:
        boundary = form_boundary(content_type)
        self._form = None if boundary is None else FormReader(boundary)
        self._parts = 0
        self.media_type = "" if self._form else content_type
        """Of the body, or of the form's part; empty if there is none."""

    def feed(self, chunk: bytes) -> Iterator[bytes | memoryview]:
        """The file's bytes among these. Raises MalformedMultipart, MissingFile, TooManyParts."""
        if self._form is None:
            yield chunk
            return
        for event in self._form.feed(chunk):
            if isinstance(event, PartBegin):
                self._begin(event)
            elif isinstance(event, PartData):
                yield event.content

    def finish(self) -> None:
        """No more chunks will come. Raises MalformedMultipart, MissingFile."""
        if self._form is None:
            return
        self._form.finish()
        if not self._parts:
            raise MissingFile(f"The form has no part; send the file as its one part {FILE_FIELD!r}.")

    def _begin(self, part: PartBegin) -> None:
        self._parts += 1
        if self._parts > 1:
            raise TooManyParts(
                f"The form has a second part; send one, {FILE_FIELD!r}, and all else as query parameters.",
                members={"limit": 1},
            )
        if part.name != FILE_FIELD:
            raise MissingFile(
                f"The form's part is called {shorten(part.name)!r}; call it {FILE_FIELD!r}.",
                members={"expected": FILE_FIELD, "actual": shorten(part.name)},
            )
        self.media_type = part.media_type


class RequestBody(BodyStream):
    """A body that is one picture, to be read once, within `timeout_s`."""

    def __init__(self, headers: Headers, receive: Receive, *, max_bytes: int, timeout_s: float) -> None:
        super().__init__(headers, receive, max_bytes=max_bytes)
        self.bound_bytes = max_bytes if self.declared_bytes is None else self.declared_bytes
        """Bytes that the body can have at most: what it declares, or the limit."""
        self._timeout_s = timeout_s
        self._file = OneFile(self.content_type)

    async def read(self) -> Upload:
        """The picture.

        Raises BodyTooLarge, BodyTimeout, MalformedMultipart, MissingFile, TooManyParts, EmptyBody, and
        ClientClosed when the client goes away in the middle.
        """
        content = bytearray()  # not a list of chunks: a client may send a million tiny ones
        try:
            async with asyncio.timeout(self._timeout_s):
                while (chunk := await self.chunk()) is not None:
                    for piece in self._file.feed(chunk):
                        content += piece
        except TimeoutError as error:
            raise self.timeout(self._timeout_s) from error
        self._file.finish()
        if not content:
            raise EmptyBody("The picture has 0 bytes.")
        return Upload(bytes(content), self._file.media_type)


def _check_encoding(headers: Headers) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMedia(
            f"Content-Encoding {shorten(encoding)} is not taken; pictures are compressed already.",
            members={"supported": ["identity"]},
        )


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= LONGEST_LENGTH):
        raise BadRequest(f"Content-Length {shorten(value)!r} is no number.")
    return int(value)
