"""A client that sends and reads at the same time, as the clients of the HTTP libraries at hand do not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.conftest import LiveServer

BOUNDARY = b"limit"
END = b"--limit--\r\n"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"


@dataclass(frozen=True)
class ReceivedPart:
    """A part of a multipart/mixed answer, header names in lower case."""

    headers: dict[str, str]
    content: bytes

    @property
    def index(self) -> int | None:
        return int(self.headers["x-frame-index"]) if "x-frame-index" in self.headers else None

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.content)
        return document


class Exchange:
    """One chunked request to /upscale/frames, and its answer as it comes."""

    def __init__(self, server: LiveServer, query: str, *, accept: str = "*/*", request_id: str = "frames") -> None:
        self.socket = server.connect(timeout_s=60)
        self._file = self.socket.makefile("rb")
        lines = [
            f"POST /upscale/frames?{query} HTTP/1.1",
            "Host: test",
            f"Accept: {accept}",
            f"X-Request-ID: {request_id}",
            f"Content-Type: {FORM_TYPE}",
            "Transfer-Encoding: chunked",
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.status = 0
        self.headers: dict[str, str] = {}
        self._buffer = b""

    def send(self, content: bytes) -> None:
        if content:
            self.socket.sendall(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def send_frame(self, content: bytes, *, last: bool = False) -> None:
        """The frame, and the boundary after it, so that its end is known."""
        self.send(part(content).removeprefix(b"--limit\r\n") + (b"" if last else b"--limit\r\n"))
        if last:
            self.end()

    def begin(self) -> None:
        self.send(b"--limit\r\n")

    def end(self, tail: bytes = END) -> None:
        self.send(tail)
        self.socket.sendall(b"0\r\n\r\n")

    def read_head(self) -> None:
        self.status = int(self._file.readline().split()[1])
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    def chunks(self) -> Iterator[bytes]:
        """Pieces of the body as the server sent them, to its end. Raises ConnectionError where it breaks off."""
        if "content-length" in self.headers:
            yield self._file.read(int(self.headers["content-length"]))
            return
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("the answer broke off")
            size = int(line, 16)
            content = self._file.read(size)
            self._file.readline()
            if not size:
                return
            yield content

    def parts(self) -> Iterator[ReceivedPart]:
        """Parts as they come, by their lengths."""
        boundary = _boundary(self.headers["content-type"])
        for chunk in self.chunks():
            self._buffer += chunk
            while (found := _take(self._buffer, boundary)) is not None:
                received, self._buffer = found
                yield received
        assert self._buffer == b"--" + boundary + b"--\r\n"

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parts_of(content_type: str, content: bytes) -> list[ReceivedPart]:
    """All parts of a whole answer."""
    boundary = _boundary(content_type)
    parts = []
    while (found := _take(content, boundary)) is not None:
        received, content = found
        parts.append(received)
    assert content == b"--" + boundary + b"--\r\n"
    return parts


def _boundary(content_type: str) -> bytes:
    kind, _, boundary = content_type.partition("; boundary=")
    assert kind == "multipart/mixed"
    return boundary.encode()


def _take(buffer: bytes, boundary: bytes) -> tuple[ReceivedPart, bytes] | None:
    """The first part, and what follows it."""
    head, separator, rest = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode().split("\r\n")
    assert first.encode() == b"--" + boundary
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers["content-length"])
    if len(rest) < length + 2:
        return None
    return ReceivedPart(headers, rest[:length]), rest[length + 2 :]


def part(content: bytes, name: str = "frame", media_type: str = "application/octet-stream") -> bytes:
    head = f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="../a"\r\nContent-Type: {media_type}'
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(frames: list[bytes]) -> bytes:
    return b"".join(map(part, frames)) + END
