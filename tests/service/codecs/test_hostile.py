"""Files made to be small and cost much: each is refused, or cheap, in time and in memory."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from PIL import Image

from service.codecs import decode, read_header
from service.codecs.av1 import frame_sizes
from service.errors import UndecodableImage, Unprocessable
from tests.service.codecs.child import run_alone
from tests.service.codecs.samples import (
    HEIGHT,
    STILLS,
    WIDTH,
    animated,
    noise,
    png_chunk,
    saved,
    smooth,
    with_png_chunks,
)

PROBE = """
data, ends = sys.stdin.buffer.read(), []
small = bytes.fromhex(sys.argv[1])
decode(small, read_header(small))  # so that the decoder's libraries are loaded

def refuse_or_decode():
    try:
        header = read_header(data)
        check_header(header, ImageLimits(32_000_000, 16_384))
        decode(data, header)
        ends.append("decoded")
    except ServiceError as error:
        ends.append(f"{error.status} {error.detail}")

peak = bytes_above(refuse_or_decode)
answer([ends[0], peak / 2**20])
"""


@cache
def avif_with_a_larger_stream() -> bytes:
    """A container that says 64x64 around an AV1 stream of 4000x4000."""
    file = io.BytesIO()
    Image.new("RGB", (4000, 4000), (10, 20, 30)).save(file, "AVIF", speed=10, quality=30)
    data = bytearray(file.getvalue())
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 64, 64)
    return bytes(data)


def exif_of_shared_bytes() -> bytes:
    """60,000 tags, each of the same megabyte."""
    count, size = 60_000, 1 << 20
    entries = b"".join(struct.pack("<HHII", code, 7, size, 8) for code in range(count))
    return struct.pack("<2sHI", b"II", 42, size + 8) + bytes(size) + struct.pack("<H", count) + entries + bytes(4)


def tiff_of_shared_bytes() -> bytes:
    """A TIFF whose 40,000 private tags are each all of its pixels."""
    pixels = bytes(300_000)
    entries = [(256, 4, 1, 100), (257, 4, 1, 1000), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14)]
    entries += [(277, 3, 1, 3), (278, 4, 1, 1000), (279, 4, 1, 300_000)]
    entries += [(code, 7, 300_000, 14) for code in range(20_000, 60_000)]
    at = 14 + len(pixels)
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHI3H", b"II", 42, at, 8, 8, 8)
    return head + pixels + struct.pack("<H", len(entries)) + directory + bytes(4)


def tiff_with_large_tiles() -> bytes:
    """20x10 pixels in one tile of 60,000x60,000."""
    entries = [(256, 4, 1, 20), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 20)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, 28) + bytes(20) + struct.pack("<H", len(entries)) + directory + bytes(4)


def png_with_packed_text() -> bytes:
    """A hundred texts of 7 MiB each, 7 kB packed."""
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(7 << 20)))
    return with_png_chunks(STILLS["png-rgb"](), text * 100)


def webp_with_a_larger_frame() -> bytes:
    """A canvas of 22x14 around a frame of 4000x4000."""
    frame = saved(np.zeros((4000, 4000, 3), np.uint8), "WEBP", quality=1, method=0)
    small = bytearray(STILLS["webp-metadata"]())
    whole = bytes(small[: small.index(b"VP8 ", 16)]) + frame[12:]
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


@pytest.mark.parametrize(
    ("make", "like"),
    [
        pytest.param(avif_with_a_larger_stream, "avif-rgb", id="avif-stream"),
        pytest.param(lambda: saved(noise(3), "PNG", exif=exif_of_shared_bytes()), "png-rgb", id="exif-in-png"),
        pytest.param(lambda: saved(smooth(), "WEBP", exif=exif_of_shared_bytes()), "webp-metadata", id="exif-in-webp"),
        pytest.param(png_with_packed_text, "png-rgb", id="png-text"),
        pytest.param(tiff_of_shared_bytes, "tiff-rgb", id="tiff-tags"),
        pytest.param(tiff_with_large_tiles, "tiff-rgb", id="tiff-tile"),
        pytest.param(webp_with_a_larger_frame, "webp-lossy", id="webp-frame"),
    ],
)
def test_memory_stays_flat(make: Callable[[], bytes], like: str) -> None:
    end, mebibytes = run_alone(PROBE, STILLS[like]().hex(), stdin=make())
    assert end == "decoded" or end.startswith("4")
    assert mebibytes < 16, end


def test_an_avif_stream_larger_than_its_container_is_refused_by_name() -> None:
    with pytest.raises(UndecodableImage, match="4000x4000"):
        read_header(avif_with_a_larger_stream())


def test_an_avif_of_one_frame_is_the_picture_that_was_measured_and_not_its_track() -> None:
    data = bytearray(animated("AVIF", frames=2))
    assert data[8:12] == b"avis"
    samples = data.index(b"stsz") + 12
    data[samples : samples + 4] = (1).to_bytes(4, "big")
    chunks = data.index(b"stco") + 12
    data[chunks : chunks + 4] = (1 << 30).to_bytes(4, "big")  # the track is nowhere
    header = read_header(bytes(data))
    assert header.frames == 1
    assert decode(bytes(data), header).colour.shape == (HEIGHT, WIDTH, 3)


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = STILLS["jpeg-progressive"]()
    last = data.rindex(b"\xff\xda")
    many = data[:last] + data[last:-2] * 1000 + data[-2:]
    with pytest.raises(UndecodableImage, match="at most 100") as refused:
        decode(many, read_header(many))
    assert refused.value.members["limit"] == 100


FLOODS = {
    "png-chunks": lambda: STILLS["png-rgb"]()[:33] + (b"\0\0\0\0teXt" + bytes(4)) * 500_000,
    "jpeg-segments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_500_000,
    "jpeg-fill": lambda: b"\xff\xd8" + b"\xff" * 6_000_000,
    "webp-chunks": lambda: STILLS["webp-lossy"]() + b"JUNK\0\0\0\0" * 750_000,
    "webp-frames": lambda: STILLS["webp-metadata"]()[:30] + b"ANMF\0\0\0\0" * 750_000,
    "avif-boxes": lambda: STILLS["avif-rgb"]() + b"\0\0\0\x08free" * 750_000,
    "tiff-directories": lambda: b"II*\0" + b"".join(
        struct.pack("<IHHHII", at + 4, 1, 256, 4, 1, 9) for at in range(4, 18 * 300_000, 18)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_small_parts_is_cut_off(name: str) -> None:
    data = FLOODS[name]()
    start = time.process_time()
    with suppress(Unprocessable):
        decode(data, read_header(data))
    assert time.process_time() - start < 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 48), (1000, 3)])
@pytest.mark.parametrize("still", [True, False])
def test_the_size_in_an_av1_stream_is_read(width: int, height: int, still: bool) -> None:
    file = io.BytesIO()
    images = [Image.new("RGB", (width, height), colour) for colour in ("red", "blue")]
    images[0].save(file, "AVIF", speed=10, save_all=not still, append_images=[] if still else images[1:])
    data = file.getvalue()
    stream = data[data.index(b"mdat") + 4 :]
    assert next(frame_sizes(memoryview(stream))) == (width, height)
