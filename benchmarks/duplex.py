"""`POST /upscale/frames` as it is meant to be used: one thread sends while another reads, over one connection."""

import http.client
import json
import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

import httpx2

TIMEOUT_S = 600.0


def upscale_frames(client: httpx2.Client, frames: Iterable[bytes], **query: Any) -> Iterator[bytes]:  # noqa: ANN401
    """The answers' files, one a frame, as they come; `frames` are taken as the service asks for them.

    Raises:
        RuntimeError: the service refuses the request or a frame; the message is its problem.
    """
    base = urlsplit(str(client.base_url))
    assert base.hostname is not None
    connection = http.client.HTTPConnection(base.hostname, base.port, timeout=TIMEOUT_S)
    boundary = secrets.token_hex(16)
    connection.putrequest("POST", f"/upscale/frames?{urlencode(query)}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    sender = threading.Thread(target=_send, args=(connection, boundary, frames), daemon=True)
    sender.start()
    try:
        # The library's own way to read begins when all has been sent.
        answer = http.client.HTTPResponse(connection.sock, method="POST")
        answer.begin()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        yield from _files(answer)
        sender.join()
    finally:
        connection.close()


def _send(connection: http.client.HTTPConnection, boundary: str, frames: Iterable[bytes]) -> None:
    head = b'Content-Disposition: form-data; name="frame"; filename="f"\r\n\r\n'
    delimiter = f"--{boundary}\r\n".encode()
    try:
        _chunk(connection, delimiter)
        last: bytes | None = None
        for frame in frames:
            if last is not None:
                _chunk(connection, head + last + b"\r\n" + delimiter)
            last = frame
        _chunk(connection, head + (last or b"") + f"\r\n--{boundary}--\r\n".encode())
        connection.send(b"0\r\n\r\n")
    except OSError:
        pass  # the reader is told why


def _chunk(connection: http.client.HTTPConnection, content: bytes) -> None:
    connection.send(f"{len(content):x}\r\n".encode() + content + b"\r\n")


def _files(answer: BinaryIO) -> Iterator[bytes]:
    while True:
        boundary = answer.readline()
        headers = dict(_headers(answer))
        if not headers:
            return  # the closing boundary
        content = answer.read(int(headers["content-length"]))
        answer.readline()
        if headers["content-type"].startswith("image/"):
            yield content
        elif headers["content-type"] == "application/problem+json":
            raise RuntimeError(json.dumps(json.loads(content)))
        assert boundary


def _headers(answer: BinaryIO) -> Iterator[tuple[str, str]]:
    while line := answer.readline().strip():
        name, _, value = line.decode().partition(": ")
        yield name.lower(), value
