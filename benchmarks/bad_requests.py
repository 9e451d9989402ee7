"""Bad requests, one function a kind: what a careless, broken or hostile client sends.

Each returns the status of the answer, or None where the sender left before one could come.
"""

import contextlib
import io
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import numpy as np
from PIL import Image

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    model: str
    scale: int

    @property
    def path(self) -> str:
        """Of a good request."""
        return f"/upscale?model={self.model}&scale={self.scale}"


def picture(height: int, width: int, *, form: str = "PNG", seed: int = 0) -> bytes:
    """A file of random pixels."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def png(chunks: list[tuple[bytes, bytes]], *, width: int = 8, height: int = 8, rows: bytes | None = None) -> bytes:
    """A PNG (8-bit RGB) of black pixels with `chunks` between head and pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = zlib.compress(rows if rows is not None else bytes((1 + 3 * width) * height))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", content), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def inflating(size: int) -> bytes:
    """A zlib stream that inflates to `size` zeros, a two-hundredth as long or less."""
    press = zlib.compressobj(1)
    block = bytes(1 << 20)
    return b"".join([*(press.compress(block) for _ in range(size >> 20)), press.flush()])


def _garbage(target: Target) -> int | None:
    return _post(target, b"\x00\xff" * 500)


def _empty(target: Target) -> int | None:
    return _post(target, b"")


def _truncated(target: Target) -> int | None:
    return _post(target, picture(64, 64)[:-2000])


def _bomb(target: Target) -> int | None:
    return _post(target, png([], width=20_000, height=20_000, rows=bytes(100)))


def _metadata_bomb(target: Target) -> int | None:
    """Its profile inflates to 64 MiB, and it is cut off in the pixels."""
    return _post(target, png([(b"iCCP", b"bomb\x00\x00" + inflating(64 << 20))])[:-30])


def _many_parts(target: Target) -> int | None:
    part = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\nx\r\n'
    url, kind = f"http://{target.host}:{target.port}{target.path}", "multipart/form-data; boundary=limit"
    content = part * 20_000 + b"--limit--\r\n"
    answer = httpx2.post(url, content=content, headers={"Content-Type": kind}, timeout=TIMEOUT_S, trust_env=False)
    return answer.status_code


def _garbage_as_job(target: Target) -> int | None:
    return _post(target, b"\x00\xff" * 500, path=target.path.replace("/upscale", "/jobs", 1))


def _clip_without_a_frame(target: Target) -> int | None:
    return _post(target, b"no form", path=target.path.replace("/upscale", "/upscale/frames", 1))


def _unknown_model(target: Target) -> int | None:
    return _post(target, picture(8, 8), path="/upscale?model=..%2F..%2Fetc%2Fpasswd&scale=2")


def _bad_parameter(target: Target) -> int | None:
    return _post(target, picture(8, 8), path=target.path + "&quality=1e9&url=http://127.0.0.1/")


def _wrong_path(target: Target) -> int | None:
    return _post(target, picture(8, 8), path="/%2e%2e/%00/upscale")


def _no_http(target: Target) -> int | None:
    return _raw(target, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20)


def _declares_too_much(target: Target) -> int | None:
    return _raw(target, _head(target, length=1 << 40))


def _trickles(target: Target) -> int | None:
    """Ten bytes in all, one a second: the service waits `body_timeout_s`, and no longer."""
    with _connected(target) as connection:
        connection.sendall(_head(target, length=1000))
        for _ in range(10):
            time.sleep(1)
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
        return _status(connection.recv(1000))


def _leaves_in_the_upload(target: Target) -> int | None:
    with _connected(target) as connection:
        connection.sendall(_head(target, length=100_000) + bytes(5000))
    return None


def _leaves_before_the_answer(target: Target) -> int | None:
    content = picture(96, 96)
    with _connected(target) as connection:
        connection.sendall(_head(target, length=len(content)) + content)
    return None


BAD_REQUESTS: dict[str, Callable[[Target], int | None]] = {
    "garbage": _garbage,
    "empty": _empty,
    "truncated": _truncated,
    "bomb": _bomb,
    "metadata bomb": _metadata_bomb,
    "many parts": _many_parts,
    "garbage as a job": _garbage_as_job,
    "clip without a frame": _clip_without_a_frame,
    "unknown model": _unknown_model,
    "bad parameter": _bad_parameter,
    "wrong path": _wrong_path,
    "no HTTP": _no_http,
    "declares too much": _declares_too_much,
    "trickles": _trickles,
    "leaves in the upload": _leaves_in_the_upload,
    "leaves before the answer": _leaves_before_the_answer,
}


def _post(target: Target, content: bytes, *, path: str | None = None) -> int:
    url = f"http://{target.host}:{target.port}{path or target.path}"
    return httpx2.post(url, content=content, timeout=TIMEOUT_S, trust_env=False).status_code


def _head(target: Target, *, length: int) -> bytes:
    return f"POST {target.path} HTTP/1.1\r\nHost: {target.host}\r\nContent-Length: {length}\r\n\r\n".encode()


def _connected(target: Target) -> socket.socket:
    return socket.create_connection((target.host, target.port), timeout=TIMEOUT_S)


def _raw(target: Target, data: bytes) -> int:
    with _connected(target) as connection:
        connection.sendall(data)
        return _status(connection.recv(1000))


def _status(answer: bytes) -> int:
    """Of an answer's first line; 400 for a connection that was closed without one, which is a refusal too."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 400
