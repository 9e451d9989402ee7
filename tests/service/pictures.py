"""Pictures for tests: random pixels as files, and files as pixels. Random ones show a swapped or shifted tile."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]


def pixels(height: int, width: int, *, channels: int = 3, seed: int = 0, below: int = 256) -> Pixels:
    """Random uint8 [height, width, channels] with values under `below`."""
    return np.random.default_rng(seed).integers(0, below, (height, width, channels), dtype=np.uint8)


def as_file(image: Pixels, name: str = "PNG", **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own options
    """`image` [H,W,3|4] or [H,W] as a file of Pillow's format `name`."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, name, **options)
    return file.getvalue()


def as_pixels(content: bytes) -> Pixels:
    """The pixels of a file, with as many channels as it has."""
    return np.asarray(Image.open(io.BytesIO(content)))


def format_of(content: bytes) -> str | None:
    """Pillow's name of the file's format."""
    return Image.open(io.BytesIO(content)).format


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header promises `width` x `height` pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 64)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
