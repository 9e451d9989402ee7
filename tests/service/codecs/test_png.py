"""PNG's chunks: what is read of them, what is refused, and what never reaches the decoder."""

import struct
import zlib

import pytest

from service.codecs import decode, read_header
from service.errors import UndecodableImage, UnsupportedPixels
from tests.service.codecs.samples import noise, png_chunk, png_of, saved, with_png_chunks

PNG = saved(noise(3), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(PNG[:20], "IHDR", id="cut-in-the-header"),
        pytest.param(PNG[:8] + png_chunk(b"IDAT", b"") + PNG[8:], "IHDR", id="pixels-first"),
        pytest.param(with_png_chunks(PNG, PNG[8:33]), "second IHDR", id="two-headers"),
        pytest.param(png_of(1 << 31, 1), "2147483648x1", id="a-side-beyond-the-format"),
        pytest.param(png_of(4, 4, depth=3), "3 bits", id="three-bits"),
        pytest.param(png_of(4, 4, colour_type=5), "type 5", id="no-such-colour-type"),
        pytest.param(png_of(4, 4, depth=16, colour_type=3), "type 3, 16 bits", id="a-palette-of-sixteen-bits"),
    ],
)
def test_a_damaged_header_is_refused_with_its_damage(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableImage, match=reason):
        read_header(data)


def test_a_second_header_cannot_smuggle_in_another_size() -> None:
    small = png_of(4, 4, rows=bytes(13 * 4))
    large = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    with pytest.raises(UndecodableImage):
        read_header(with_png_chunks(small, png_chunk(b"IHDR", large)))


def test_a_hundred_thousand_chunks_are_too_many() -> None:
    with pytest.raises(UndecodableImage, match="100000 chunks"):
        read_header(with_png_chunks(PNG, png_chunk(b"tEXt", b"") * 100_000))


@pytest.mark.parametrize(
    ("kind", "head", "what"),
    [
        (b"iCCP", b"name\0\0", "ICC profile"),
        (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0", "XMP packet"),
    ],
)
def test_a_profile_or_packet_that_unpacks_beyond_reason_is_refused(kind: bytes, head: bytes, what: str) -> None:
    data = with_png_chunks(PNG, png_chunk(kind, head + zlib.compress(bytes(5 << 20))))
    with pytest.raises(UndecodableImage, match=what) as refused:
        read_header(data)
    assert refused.value.members["limit"] == 4 << 20


@pytest.mark.parametrize("compressed", [False, True])
def test_xmp_is_found(compressed: bool) -> None:
    packet = b"<x:xmpmeta/>"
    body = b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"\0\0" + (zlib.compress(packet) if compressed else packet)
    data = with_png_chunks(PNG, png_chunk(b"iTXt", body))
    assert decode(data, read_header(data)).metadata.xmp == packet


@pytest.mark.parametrize(("transfer", "named"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_name(transfer: int, named: str) -> None:
    with pytest.raises(UnsupportedPixels, match=named):
        read_header(with_png_chunks(PNG, png_chunk(b"cICP", bytes([9, transfer, 0, 1]))))
    assert read_header(with_png_chunks(PNG, png_chunk(b"cICP", bytes([1, 13, 0, 1])))) == read_header(PNG)


def test_exif_behind_the_pixels_is_found() -> None:
    block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = PNG[:-12] + png_chunk(b"eXIf", block) + PNG[-12:]
    header = read_header(data)
    assert (header.height, header.width) == noise(3).shape[1::-1]


def test_an_animation_control_behind_the_pixels_does_not_animate() -> None:
    data = PNG[:-12] + png_chunk(b"acTL", struct.pack(">II", 9, 0)) + PNG[-12:]
    assert read_header(data).frames == 1


def test_a_palette_index_without_a_colour_is_no_crash() -> None:
    palette = png_chunk(b"PLTE", bytes(6))
    data = png_of(2, 1, colour_type=3, extra=palette, rows=bytes([0, 1, 200]))
    try:
        image = decode(data, read_header(data))
    except UndecodableImage:
        return
    assert image.colour.shape == (1, 2, 3)
