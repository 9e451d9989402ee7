"""The wire between this process and a child: messages of one letter, a length, and that many bytes.

Frames of video go through pipes as they are: no copy in between is ours, and who is slow holds up who sends.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_HEAD = struct.Struct(">cQ")
FRAME_HEAD = struct.Struct(">qqB")
"""Of a frame: timestamp and duration in the source's time base, and whether a cut lies before it."""

HELLO, FRAME, END, FAULT, BEGIN, DONE, PULSE = b"H", b"F", b"E", b"X", b"B", b"D", b"P"


class WireClosed(Exception):
    """The other side is gone."""


def send(pipe: BinaryIO, kind: bytes, *contents: bytes | memoryview) -> None:
    """One message, of the contents together. Raises WireClosed."""
    try:
        pipe.write(_HEAD.pack(kind, sum(len(content) for content in contents)))
        for content in contents:
            pipe.write(content)
        pipe.flush()
    except (BrokenPipeError, ValueError) as error:
        raise WireClosed from error


def send_document(pipe: BinaryIO, kind: bytes, document: Mapping[str, Any]) -> None:
    """A message of JSON."""
    send(pipe, kind, json.dumps(document).encode())


def receive_head(pipe: BinaryIO) -> tuple[bytes, int]:
    """The kind and the length of the next message. Raises WireClosed."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise WireClosed
    kind, size = _HEAD.unpack(head)
    return kind, size


def receive_exactly(pipe: BinaryIO, size: int) -> bytes:
    """That many bytes. Raises WireClosed."""
    content = pipe.read(size)
    if len(content) < size:
        raise WireClosed
    return content


def receive_into(pipe: BinaryIO, buffer: memoryview) -> None:
    """Fills the buffer. Raises WireClosed."""
    if pipe.readinto(buffer) < len(buffer):  # type: ignore[attr-defined]  # of every buffered binary file
        raise WireClosed


def receive_document(pipe: BinaryIO, size: int) -> dict[str, Any]:
    """The JSON of a message of that length. Raises WireClosed."""
    document: dict[str, Any] = json.loads(receive_exactly(pipe, size))
    return document
