"""An upload lies on the disk as it was sent, or is refused."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from service.body import BodyStream
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    ClientClosed,
    EmptyBody,
    MalformedMultipart,
    MissingFile,
    ServiceError,
    TooManyParts,
)
from service.jobs.upload import WRITE_BYTES, ReceivedFile, receive_file

FORM = "multipart/form-data; boundary=limit"
CONTENT = bytes(range(256)) * (WRITE_BYTES // 128)  # more than is written at a time


def receive(
    path: Path, chunks: list[bytes | None], *, content_type: str = "", max_bytes: int = 1 << 30, timeout_s: float = 20
) -> ReceivedFile:
    """What comes of a body of these chunks; None: the client goes away. After the last one nothing more comes."""
    messages: list[Message] = [
        {"type": "http.disconnect"}
        if chunk is None
        else {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]

    async def next_message() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    body = BodyStream(Headers({"content-type": content_type}), next_message, max_bytes=max_bytes)
    with path.open("wb") as file:
        return asyncio.run(receive_file(body, file, timeout_s=timeout_s))


def part(content: bytes, name: str = "file") -> bytes:
    head = f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: image/png\r\n\r\n'
    return head.encode() + content + b"\r\n"


def test_raw_bytes_arrive_as_they_are(tmp_path: Path) -> None:
    chunks: list[bytes | None] = [CONTENT[start : start + 65_521] for start in range(0, len(CONTENT), 65_521)]
    received = receive(tmp_path / "file", chunks, content_type="image/x")
    assert received == ReceivedFile(len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "image/x")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_forms_file_arrives_without_its_wrapping(tmp_path: Path) -> None:
    whole = part(CONTENT) + b"--limit--\r\n"
    chunks: list[bytes | None] = [whole[start : start + 65_521] for start in range(0, len(whole), 65_521)]
    received = receive(tmp_path / "file", chunks, content_type=FORM)
    assert received == ReceivedFile(len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "image/png")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("chunks", "content_type", "kind"),
    [
        ([b""], "", EmptyBody),
        ([part(b"") + b"--limit--\r\n"], FORM, EmptyBody),
        ([b"--limit--\r\n"], FORM, MissingFile),
        ([part(b"x", "picture") + b"--limit--\r\n"], FORM, MissingFile),
        ([part(b"x") * 2 + b"--limit--\r\n"], FORM, TooManyParts),
        ([part(b"x")], FORM, MalformedMultipart),
        ([b"x" * 600, b"x" * 600], "", BodyTooLarge),
        ([b"x", None], "", ClientClosed),
    ],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, chunks: list[bytes | None], content_type: str, kind: type[ServiceError]
) -> None:
    with pytest.raises(kind):
        receive(tmp_path / "file", chunks, content_type=content_type, max_bytes=1000)


def test_a_sender_that_falls_silent_is_refused(tmp_path: Path) -> None:
    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    body = BodyStream(Headers({}), silence, max_bytes=1000)
    with (tmp_path / "file").open("wb") as file, pytest.raises(BodyTimeout) as caught:
        asyncio.run(receive_file(body, file, timeout_s=0.05))
    assert caught.value.members["limit"] == 0.05
