"""Clips: frames written as the parts of a form, and read from the parts of the answer, as they come. No I/O here."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from srserve_client.answers import PROBLEM_JSON, parsed_text, problem_of
from srserve_client.errors import ConnectionFailed, ProblemError, UnexpectedAnswer
from srserve_client.picture_file import PictureFile

LONGEST_HEAD = 16 * 1024  # bytes of one part's headers
LARGEST_PART = 2**31  # bytes: more than any picture, less than what would be a mistake


@dataclass(frozen=True)
class Frame(PictureFile):
    """A frame of the answer; `index` counts from 0, as the frames were given."""

    index: int

    def unwrap(self) -> "Frame":
        """This frame; as of FailedFrame, which has none."""
        return self


@dataclass(frozen=True)
class FailedFrame:
    """A frame that could not be made, for `error`; the others still come."""

    index: int
    error: ProblemError

    def unwrap(self) -> Frame:
        """Raises the error."""
        raise self.error


@dataclass(frozen=True)
class ClipSummary:
    """What came of the clip; `cuts` are the frames that begin a new shot."""

    frames: int
    succeeded: int
    failed: int
    cuts: tuple[int, ...]
    model: str
    model_version: str
    scale: int
    device: str
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ClipSummary":
        """The summary in the answer's last part."""
        return cls(
            frames=int(document["frames"]),
            succeeded=int(document["succeeded"]),
            failed=int(document["failed"]),
            cuts=tuple(document["cuts"]),
            model=str(document["model"]),
            model_version=str(document["model_version"]),
            scale=int(document["scale"]),
            device=str(document["device"]),
            raw=document,
        )


class ClipWriter:
    """The bytes of the form (RFC 7578), a frame at a time.

    A frame ends with the boundary after it, which says whether another one follows. `frame` leaves that boundary out;
    `go_on` writes it where the next frame is not there yet, so that the service need not wait for it. Where then none
    comes, `end` writes an empty frame, whose refusal `ClipReader` passes over.
    """

    def __init__(self) -> None:
        self._boundary = secrets.token_hex(16).encode()
        self.count = 0
        self.has_filler = False
        self._is_open = False

    @property
    def media_type(self) -> str:
        """Of the whole form."""
        return f"multipart/form-data; boundary={self._boundary.decode()}"

    def frame(self, content: bytes) -> bytes:
        """The next frame."""
        begin = self.go_on()
        self._is_open = False
        self.count += 1
        return begin + b'Content-Disposition: form-data; name="frame"; filename="frame"\r\n\r\n' + content

    def go_on(self) -> bytes:
        """The boundary before the next frame, if it has not been written."""
        if self._is_open:
            return b""
        self._is_open = True
        return (b"\r\n" if self.count else b"") + b"--" + self._boundary + b"\r\n"

    def end(self) -> bytes:
        """What closes the form."""
        filler = b""
        if self._is_open:
            filler = self.frame(b"")
            self.count -= 1
            self.has_filler = True
        return filler + (b"\r\n" if self.count or filler else b"") + b"--" + self._boundary + b"--\r\n"


class ClipReader:
    """The frames of the answer (multipart/mixed), from its bytes as they come.

    `summary` is there at the end; `problem` where the clip ended too early. Raises UnexpectedAnswer for what is no
    such answer.
    """

    def __init__(self, content_type: str) -> None:
        message = Message()
        message["Content-Type"] = content_type
        boundary = message.get_boundary()
        if message.get_content_type() != "multipart/mixed" or boundary is None:
            raise UnexpectedAnswer(f"The answer to a clip is {content_type!r}, and not srserve's multipart/mixed.")
        self._boundary = b"--" + boundary.encode()
        self._buffer = bytearray()
        self._is_ended = False
        self.summary: ClipSummary | None = None
        self.problem: ProblemError | None = None

    def feed(self, content: bytes) -> Iterator[Frame | FailedFrame]:
        """The frames that are complete with these bytes."""
        self._buffer += content
        while not self._is_ended and (part := self._next_part()) is not None:
            headers, body = part
            frame = self._interpreted(headers, body)
            if frame is not None:
                yield frame

    def finish(self) -> None:
        """The answer has ended. Raises ConnectionFailed if it broke off, or the problem that ended the clip."""
        if self.problem is not None:
            raise self.problem
        if not self._is_ended or self.summary is None:
            raise ConnectionFailed("The answer to the clip broke off.")

    def _next_part(self) -> tuple[Message, bytes] | None:
        """The headers and the content of the next part, once it is all there."""
        start = len(self._boundary)
        if self._buffer.startswith(self._boundary + b"--"):
            self._is_ended = True
            return None
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise UnexpectedAnswer("A part of the answer has no end of its headers.")
            return None
        if not self._buffer.startswith(self._boundary + b"\r\n"):
            raise UnexpectedAnswer(f"A part of the answer begins with {bytes(self._buffer[:40])!r}.")
        headers = _headers(bytes(self._buffer[start:head_end]))
        length = headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_PART:
            raise UnexpectedAnswer(f"A part of the answer says that it has {length!r} bytes.")
        body_end = head_end + 4 + int(length)
        if len(self._buffer) < body_end + 2:
            return None
        body = bytes(self._buffer[head_end + 4 : body_end])
        del self._buffer[: body_end + 2]
        return headers, body

    def _interpreted(self, headers: Message, body: bytes) -> Frame | FailedFrame | None:
        index = headers.get("X-Frame-Index")
        media_type = headers.get_content_type()
        if media_type == PROBLEM_JSON:
            problem = parsed_text(body.decode("utf-8", "replace"), problem_of)
            if index is not None:
                return FailedFrame(int(index), problem)
            self.problem = problem
            return None
        if index is not None:
            return Frame(body, media_type, int(index))
        self.summary = parsed_text(body.decode("utf-8", "replace"), ClipSummary.of)
        return None


def without_filler(summary: ClipSummary) -> ClipSummary:
    """The summary without the empty frame that ClipWriter put at the end."""
    raw = {**summary.raw, "frames": summary.frames - 1, "failed": summary.failed - 1}
    return ClipSummary.of(raw)


def _headers(head: bytes) -> Message:
    message = Message()
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            message[name.strip()] = value.strip()
    return message
