"""Parts: the frames of a form as they come, one at a time. Nobody reads on while a frame is not wanted yet."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from service.body import BodyStream
from service.errors import (
    BodyTooLarge,
    EmptyBody,
    MissingFile,
    ServiceError,
    TooManyParts,
    UnsupportedMedia,
)
from service.forms import FormReader, PartBegin, PartData, form_boundary
from service.problems import shorten

FRAME_FIELD = "frame"


@dataclass(frozen=True)
class FrameLimits:
    """`frame_timeout_s` is how long the sender of a frame may keep those waiting who want it."""

    max_frames: int
    max_frame_bytes: int
    frame_timeout_s: float


@dataclass(frozen=True)
class FramePart:
    """The bytes of frame number `index`, from 0; or what is wrong with it, while the others go on."""

    index: int
    content: bytes | ServiceError
    media_type: str = ""


class FrameParts:
    """The frames in a request's body. Raises UnsupportedMedia or MalformedMultipart for one that is no form."""

    def __init__(self, body: BodyStream, limits: FrameLimits) -> None:
        self._body = body
        self._limits = limits
        boundary = form_boundary(body.content_type)
        if boundary is None:
            raise UnsupportedMedia(
                f"Frames come as the parts of a form, each called {FRAME_FIELD!r}.",
                members={"supported": ["multipart/form-data"]},
            )
        self._form = FormReader(boundary)
        self._left_s = limits.frame_timeout_s
        self._part: _Part | None = None
        self._count = 0

    async def read(self) -> AsyncGenerator[FramePart, None]:
        """Each frame as soon as it is complete.

        Raises MissingFile for a form without frames or with other parts, TooManyParts, MalformedMultipart, BodyTimeout,
        ClientClosed: nothing more comes after those.
        """
        while (chunk := await self._chunk()) is not None:
            for event in self._form.feed(chunk):
                if isinstance(event, PartBegin):
                    self._part = self._begin(event)
                    continue
                assert self._part is not None
                if isinstance(event, PartData):
                    self._part.add(event.content)
                else:
                    part = self._part.finished()
                    self._part = None
                    self._left_s = self._limits.frame_timeout_s
                    yield part
        self._form.finish()
        if not self._count:
            raise MissingFile(f"The form has no part; send each frame as a part {FRAME_FIELD!r}.")

    async def _chunk(self) -> bytes | None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                return await self._body.chunk()
        except TimeoutError as error:
            raise self._body.timeout(self._limits.frame_timeout_s) from error
        finally:
            self._left_s -= time.monotonic() - began

    def _begin(self, part: PartBegin) -> "_Part":
        if part.name != FRAME_FIELD:
            raise MissingFile(
                f"Part {self._count} of the form is called {shorten(part.name)!r}; call each {FRAME_FIELD!r}, and send "
                "all else as query parameters.",
                members={"expected": FRAME_FIELD, "actual": shorten(part.name)},
            )
        if self._count == self._limits.max_frames:
            raise TooManyParts(
                f"The form has more than {self._count} frames; send the clip in several requests.",
                members={"limit": self._limits.max_frames},
            )
        self._count += 1
        return _Part(self._count - 1, part.media_type, self._limits.max_frame_bytes)


class _Part:
    """A frame that is coming; what is above the limit is counted and dropped."""

    def __init__(self, index: int, media_type: str, max_bytes: int) -> None:
        self._index = index
        self._media_type = media_type
        self._max_bytes = max_bytes
        self._content = bytearray()
        self._size = 0

    def add(self, content: memoryview) -> None:
        self._size += len(content)
        if self._size <= self._max_bytes:
            self._content += content
        else:
            self._content.clear()

    def finished(self) -> FramePart:
        content: bytes | ServiceError = bytes(self._content)
        if self._size > self._max_bytes:
            content = BodyTooLarge(
                f"The frame has {self._size} bytes, and the limit is {self._max_bytes}.",
                members={"limit": self._max_bytes, "actual": self._size},
            )
        elif not content:
            content = EmptyBody("The frame has 0 bytes.")
        return FramePart(self._index, content, self._media_type)
