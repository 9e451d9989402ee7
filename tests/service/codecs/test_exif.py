"""The orientation is applied and forgotten, the thumbnail dropped, and the rest of EXIF carried over whole."""

import io
import struct
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from service.codecs import decode, exif, read_header, tags
from service.codecs.tags import TagFile
from tests.service.codecs.samples import HEIGHT, WIDTH, exif_block, noise, saved, smooth

PREFIX = b"Exif\0\0"
EXIF_POINTER, GPS_POINTER, MAKE, ORIENTATION, PIXEL_WIDTH, PIXEL_HEIGHT, TAKEN_AT = (
    0x8769,
    0x8825,
    0x010F,
    0x0112,
    0xA002,
    0xA003,
    0x9003,
)


def block(orientation: int | None = None) -> bytes:
    return exif_block(orientation).removeprefix(PREFIX)


def by_pillow(data: bytes) -> Image.Exif:
    read = Image.Exif()
    read.load(data)
    return read


def with_thumbnail(data: bytes, thumbnail: bytes) -> bytes:
    """A block whose first directory is followed by a second one that describes a JPEG."""
    order = "<" if data[:2] == b"II" else ">"
    first = struct.unpack_from(f"{order}I", data, 4)[0]
    after_first = first + 2 + 12 * struct.unpack_from(f"{order}H", data, first)[0]
    at = len(data) + len(data) % 2
    entries = struct.pack(f"{order}HHII", 0x0201, 4, 1, at + 30) + struct.pack(
        f"{order}HHII", 0x0202, 4, 1, len(thumbnail)
    )
    second = struct.pack(f"{order}H", 2) + entries + bytes(4)
    return (
        data[:after_first]
        + struct.pack(f"{order}I", at)
        + data[after_first + 4 :].ljust(at - after_first - 4, b"\0")
        + second
        + thumbnail
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_pixels_are_turned_as_pillow_turns_them(form: str, orientation: int) -> None:
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"speed": 10, "subsampling": "4:4:4"}}
    pixels = noise(3) if form in ("PNG", "WEBP", "TIFF") else smooth()
    data = saved(pixels, form, exif=exif_block(orientation), **options.get(form, {}))
    stored = Image.open(io.BytesIO(data))
    expected = np.asarray(ImageOps.exif_transpose(stored))
    header = read_header(data)
    image = decode(data, header)
    assert (header.width, header.height) == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
    assert np.abs(image.colour.astype(int) - expected).max() <= (2 if form == "AVIF" else 0)
    assert image.colour.flags.c_contiguous
    assert image.metadata.exif is not None
    assert ORIENTATION not in by_pillow(image.metadata.exif)


def test_everything_but_the_orientation_is_carried_over() -> None:
    kept = exif.upright(block(6))
    assert kept is not None
    read = by_pillow(kept)
    assert dict(read) == {MAKE: "Lens & Sons", EXIF_POINTER: read[EXIF_POINTER], GPS_POINTER: read[GPS_POINTER]}
    assert read.get_ifd(EXIF_POINTER) == {PIXEL_WIDTH: WIDTH, PIXEL_HEIGHT: HEIGHT, TAKEN_AT: "2026:01:02 03:04:05"}
    assert read.get_ifd(GPS_POINTER) == {1: "N", 2: (52.0, 30.0, 1.5)}


def test_the_thumbnail_is_dropped() -> None:
    thumbnail = b"\xff\xd8 a face that was cropped away \xff\xd9"
    whole = with_thumbnail(block(3), thumbnail)
    file = TagFile.open(whole)
    second = file.directory(file.glance(file.first)[1])
    assert tags.integer(second[0x0202], file.order, 0) == len(thumbnail)
    kept = exif.upright(whole)
    assert kept is not None
    assert thumbnail not in kept
    assert TagFile.open(kept).glance(8)[1] == 0
    assert by_pillow(kept)[MAKE] == "Lens & Sons"


def test_the_size_that_is_stated_becomes_the_new_one() -> None:
    upright = exif.upright(block(1))
    assert upright is not None
    read = by_pillow(exif.resized(upright, width=88, height=56))
    assert read.get_ifd(EXIF_POINTER)[PIXEL_WIDTH] == 88
    assert read.get_ifd(EXIF_POINTER)[PIXEL_HEIGHT] == 56
    assert read.get_ifd(EXIF_POINTER)[TAKEN_AT] == "2026:01:02 03:04:05"


def test_a_block_of_nothing_but_an_orientation_leaves_nothing() -> None:
    lone = Image.Exif()
    lone[ORIENTATION] = 6
    assert exif.upright(lone.tobytes().removeprefix(PREFIX)) is None


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    assert exif.orientation_of(block(orientation)) == 1


@pytest.mark.parametrize("damage", [b"", b"II", b"nonsense that is long enough", b"II*\0\xff\xff\xff\xff" + bytes(20)])
def test_a_damaged_block_is_dropped_and_the_picture_is_not(damage: bytes) -> None:
    assert exif.orientation_of(damage) == 1
    assert exif.upright(damage) is None
    data = saved(noise(3), "PNG", exif=PREFIX + damage)
    np.testing.assert_array_equal(decode(data, read_header(data)).colour, noise(3))


def test_directories_that_point_at_each_other_end() -> None:
    loop = struct.pack("<2sHI", b"II", 42, 8) + struct.pack(
        "<HHHIIHHIII", 2, EXIF_POINTER, 4, 1, 8, GPS_POINTER, 4, 1, 8, 0
    )
    assert exif.upright(loop + bytes(8)) is not None


def test_tags_that_all_point_at_the_same_megabyte_cost_no_more_than_it() -> None:
    count, size = 60_000, 1 << 20
    entries = b"".join(struct.pack("<HHII", code, 7, size, 8) for code in range(count))
    hostile = struct.pack("<2sHI", b"II", 42, size + 8) + bytes(size) + struct.pack("<H", count) + entries + bytes(4)
    start = time.process_time()
    assert exif.orientation_of(hostile) == 1
    assert exif.upright(hostile) is None
    assert time.process_time() - start < 1  # 60 GB would take longer


def test_the_copy_of_the_orientation_in_xmp_is_set_upright() -> None:
    packet = b'<rdf:Description tiff:Orientation="6" x:Other="6"/><tiff:Orientation>6</tiff:Orientation>'
    turned = exif.upright_xmp(packet, 6)
    assert turned == b'<rdf:Description tiff:Orientation="1" x:Other="6"/><tiff:Orientation>1</tiff:Orientation>'
    assert exif.upright_xmp(packet, 1) == packet
    assert exif.upright_xmp(None, 6) is None


def test_the_description_of_a_tiff_becomes_exif() -> None:
    data = saved(noise(3), "TIFF", exif=exif_block(1), description="a tree", software="a scanner")
    kept = decode(data, read_header(data)).metadata.exif
    assert kept is not None
    read = by_pillow(kept)
    assert (read[MAKE], read[0x010E], read[0x0131]) == ("Lens & Sons", "a tree", "a scanner")
    assert read.get_ifd(EXIF_POINTER)[TAKEN_AT] == "2026:01:02 03:04:05"
    assert not {256, 257, 258, 273, 279} & set(TagFile.open(kept).directory(8))
