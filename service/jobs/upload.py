"""Upload: a request's body goes to the disk as it comes, raw or as a form's one file, however large it is."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from service.body import BodyStream, OneFile
from service.errors import EmptyBody

WRITE_BYTES = 1 << 20  # at a time


@dataclass(frozen=True)
class ReceivedFile:
    """What came: `media_type` is the Content-Type of the body or of the form's part, empty if none."""

    bytes: int
    sha256: str
    media_type: str


async def receive_file(body: BodyStream, file: BinaryIO, *, timeout_s: float) -> ReceivedFile:
    """Writes the file of `body` to `file`; something of it must come every `timeout_s`.

    Raises BodyTooLarge, BodyTimeout, MalformedMultipart, MissingFile, TooManyParts, EmptyBody, ClientClosed, and
    OSError for a full disk.
    """
    form = OneFile(body.content_type)
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray()

    def write(content: bytes) -> None:
        digest.update(content)
        file.write(content)

    while (chunk := await _chunk(body, timeout_s)) is not None:
        for piece in form.feed(chunk):
            buffer += piece
        if len(buffer) >= WRITE_BYTES:
            size += len(buffer)
            await asyncio.to_thread(write, bytes(buffer))
            buffer.clear()
    form.finish()
    size += len(buffer)
    await asyncio.to_thread(write, bytes(buffer))
    if not size:
        raise EmptyBody("The file has 0 bytes.")
    return ReceivedFile(size, digest.hexdigest(), form.media_type)


async def _chunk(body: BodyStream, timeout_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await body.chunk()
    except TimeoutError as error:
        raise body.timeout(timeout_s) from error
