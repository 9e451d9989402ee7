"""Body: the bytes of one picture out of a request, raw or as a form's one file, never more than may be held.

Refused in this order: a Content-Length above the limit (before a byte is read), bytes above the limit (as they come,
for a chunked body has no length), too slow a sender, a broken form, an empty picture.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import Receive

from service.errors import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    ClientClosed,
    EmptyBody,
    MalformedMultipart,
    MissingFile,
    TooManyParts,
    UnsupportedMedia,
)
from service.problems import shorten

T = TypeVar("T")

FILE_FIELD = "file"
LONGEST_LENGTH = 18  # digits of a Content-Length


@dataclass(frozen=True)
class Upload:
    """One picture as it came; `media_type` is the Content-Type of the body or of the form's part, empty if none."""

    content: bytes
    media_type: str


class RequestBody:
    """The body of one request, to be read once. `max_bytes` bounds the whole body, a form's wrapping included."""

    def __init__(self, headers: Headers, receive: Receive, *, max_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._size = 0
        self._collector = _collector(headers)
        self._declared_bytes = _declared_bytes(headers)
        if self._declared_bytes is not None and self._declared_bytes > max_bytes:
            raise self._too_large(self._declared_bytes)

    @property
    def bound_bytes(self) -> int:
        """Bytes that the body can have at most: what it declares, or the limit."""
        return self._max_bytes if self._declared_bytes is None else self._declared_bytes

    async def read(self) -> Upload:
        """The picture.

        Raises BodyTooLarge, BodyTimeout, MalformedMultipart, MissingFile, TooManyParts, EmptyBody, and
        ClientClosed when the client goes away in the middle.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                while await self._read_some():
                    pass
        except TimeoutError as error:
            raise BodyTimeout(
                f"{self._size} bytes came in {self._timeout_s:g} s, and the body is not complete.",
                members={"limit": self._timeout_s, "received_bytes": self._size},
                headers={"Connection": "close"},  # the rest of the body, should it come, is no next request
            ) from error
        upload = self._collector.finish()
        if not upload.content:
            raise EmptyBody("The picture has 0 bytes.")
        return upload

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled with ClientClosed when the client goes away.

        Only after `read`, for both listen to the client. Neither uvicorn nor FastAPI cancels a handler by itself.
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
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read_some(self) -> bool:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientClosed("The client went away while it sent the body.")
        chunk = message.get("body", b"")
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise self._too_large(self._size)
        self._collector.feed(chunk)
        return bool(message.get("more_body", False))

    def _too_large(self, actual: int) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body has {actual} bytes or more, and the limit is {self._max_bytes}.",
            members={"limit": self._max_bytes, "actual": actual},
        )


class _Collector(Protocol):
    """Takes a body chunk by chunk and gives the picture in it."""

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> Upload: ...


class _RawCollector:
    """The body is the picture."""

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._content = bytearray()  # not a list of chunks: a client may send a million tiny ones

    def feed(self, chunk: bytes) -> None:
        self._content += chunk

    def finish(self) -> Upload:
        return Upload(bytes(self._content), self._media_type)


class _FormCollector:
    """The body is multipart/form-data (RFC 7578) with exactly one part, `file`; it is parsed as it comes."""

    def __init__(self, boundary: bytes) -> None:
        self._content = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._parts = 0
        self._complete = False
        self._media_type = ""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise MalformedMultipart(f"The boundary is not valid: {error}.") from error

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedMultipart(f"The form cannot be parsed: {error}.") from error

    def finish(self) -> Upload:
        if not self._complete:
            raise MalformedMultipart("The form ends before its closing boundary.")
        if self._parts == 0:
            raise MissingFile(f"The form has no part; send the picture as its one part {FILE_FIELD!r}.")
        return Upload(bytes(self._content), self._media_type)

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise TooManyParts(
                f"The form has a second part; send one, {FILE_FIELD!r}, and all else as query parameters.",
                members={"limit": 1},
            )

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FILE_FIELD:
            raise MissingFile(
                f"The form's part is called {shorten(name)!r}; call it {FILE_FIELD!r}.",
                members={"expected": FILE_FIELD, "actual": shorten(name)},
            )
        self._media_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]

    def _on_end(self) -> None:
        self._complete = True


def _collector(headers: Headers) -> _Collector:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMedia(
            f"Content-Encoding {shorten(encoding)} is not taken; pictures are compressed already.",
            members={"supported": ["identity"]},
        )
    content_type = headers.get("content-type", "")
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return _RawCollector(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise MalformedMultipart("Content-Type multipart/form-data names no boundary.")
    return _FormCollector(boundary)


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= LONGEST_LENGTH):
        raise BadRequest(f"Content-Length {shorten(value)!r} is no number.")
    return int(value)
