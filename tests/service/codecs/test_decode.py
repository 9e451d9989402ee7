"""Every kind of pixel comes out as it went in: exactly where the format allows, and never a channel or a bit less."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from service.codecs import DecodedImage, decode, read_header
from service.errors import UndecodableImage, UnsupportedPixels
from tests.service.codecs.samples import (
    BGRA,
    HEIGHT,
    STILLS,
    WIDTH,
    Pixels,
    big_endian_tiff,
    bmp_of,
    noise,
    png_chunk,
    png_of,
    saved,
    smooth,
    tiff,
)


def decoded(data: bytes) -> DecodedImage:
    return decode(data, read_header(data))


def by_pillow(data: bytes, mode: str) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def grey(plane: Pixels) -> Pixels:
    return np.repeat(plane[..., None], 3, axis=2)


@pytest.mark.parametrize("name", STILLS)
def test_pixels_are_contiguous_and_of_the_headers_shape_and_depth(name: str) -> None:
    data = STILLS[name]()
    header = read_header(data)
    image = decode(data, header)
    assert image.colour.shape == (header.height, header.width, 3)
    assert image.colour.dtype == (np.uint16 if header.bits == 16 else np.uint8)
    assert image.colour.flags.c_contiguous
    assert (image.alpha is not None) == header.has_alpha
    if image.alpha is not None:
        assert image.alpha.shape == (header.height, header.width)
        assert image.alpha.dtype == image.colour.dtype
        assert image.alpha.flags.c_contiguous
    assert image.source_format == header.format


@pytest.mark.parametrize("name", ["png-rgb", "webp-lossless", "tiff-rgb", "tiff-rgb-deflate", "bmp-24"])
def test_colours_are_exact(name: str) -> None:
    image = decoded(STILLS[name]())
    np.testing.assert_array_equal(image.colour, noise(3))
    assert not image.grey
    assert image.alpha is None


@pytest.mark.parametrize("name", ["png-rgb-16", "tiff-rgb-16-tiles"])
def test_sixteen_bits_are_exact(name: str) -> None:
    np.testing.assert_array_equal(decoded(STILLS[name]()).colour, noise(3, bits=16))


@pytest.mark.parametrize("name", ["png-rgba", "png-rgba-16", "tiff-rgba-16", "bmp-32-alpha"])
def test_alpha_is_exact_and_so_is_every_colour_that_can_be_seen(name: str) -> None:
    stored = noise(4, bits=16 if "16" in name else 8)
    if name.startswith("bmp"):
        stored = stored[..., [2, 1, 0, 3]]
    image = decoded(STILLS[name]())
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, stored[..., 3])
    visible = stored[..., 3] > 0
    np.testing.assert_array_equal(image.colour[visible], stored[..., :3][visible])


@pytest.mark.parametrize(
    ("name", "plane"),
    [
        ("png-grey", noise()),
        ("png-grey-16", noise(bits=16)),
        ("tiff-grey-16-big", noise(bits=16)),
        ("png-1-bit", by_pillow(STILLS["png-1-bit"](), "L")),
        ("tiff-1-bit", by_pillow(STILLS["tiff-1-bit"](), "L")),
        ("bmp-1-bit", by_pillow(STILLS["bmp-1-bit"](), "L")),
    ],
)
def test_grey_is_three_equal_channels_that_say_so(name: str, plane: Pixels) -> None:
    image = decoded(STILLS[name]())
    assert image.grey
    np.testing.assert_array_equal(image.colour, grey(plane))


def test_a_bit_is_black_or_white() -> None:
    assert set(np.unique(decoded(STILLS["png-1-bit"]()).colour)) == {0, 255}


@pytest.mark.parametrize(("depth", "row", "expected"), [(2, 0b00_01_10_11, [0, 85, 170, 255]), (4, 0x0F, [0, 255])])
def test_two_and_four_bits_are_spread_over_eight(depth: int, row: int, expected: list[int]) -> None:
    data = png_of(len(expected), 1, depth=depth, colour_type=0, rows=bytes([0, row]))
    assert decoded(data).colour[0, :, 0].tolist() == expected


def test_grey_with_alpha_stays_grey_with_alpha() -> None:
    expected = by_pillow(STILLS["png-grey-alpha"](), "LA")
    image = decoded(STILLS["png-grey-alpha"]())
    assert image.grey
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, expected[..., 1])
    visible = expected[..., 1] > 0
    np.testing.assert_array_equal(image.colour[visible], grey(expected[..., 0])[visible])


@pytest.mark.parametrize("name", ["png-palette", "tiff-palette", "bmp-palette"])
def test_a_palette_becomes_its_colours(name: str) -> None:
    image = decoded(STILLS[name]())
    np.testing.assert_array_equal(image.colour, by_pillow(STILLS[name](), "RGB"))
    assert image.alpha is None
    assert not image.grey


@pytest.mark.parametrize("name", ["png-palette-alpha", "png-colour-key"])
def test_transparency_by_table_or_by_colour_becomes_alpha(name: str) -> None:
    data = (
        STILLS[name]()
        if name != "png-colour-key"
        else saved(noise(3), "PNG", transparency=tuple(noise(3)[4, 5].tolist()))
    )
    expected = by_pillow(data, "RGBA")
    image = decoded(data)
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, expected[..., 3])
    assert expected[..., 3].min() < 255
    visible = expected[..., 3] > 0
    np.testing.assert_array_equal(image.colour[visible], expected[..., :3][visible])


def test_a_sixteen_bit_colour_key_is_compared_in_sixteen_bits() -> None:
    # Both pixels share their upper bytes; only the first one is the key.
    rows = b"\0" + struct.pack(">6H", 0x1201, 0x3402, 0x5603, 0x1202, 0x3402, 0x5603)
    key = png_chunk(b"tRNS", struct.pack(">3H", 0x1201, 0x3402, 0x5603))
    image = decoded(png_of(2, 1, depth=16, extra=key, rows=rows))
    assert image.alpha is not None
    assert image.alpha.tolist() == [[0, 65535]]
    assert image.colour[0, 1].tolist() == [0x1202, 0x3402, 0x5603]


def test_an_interlaced_png_is_put_together() -> None:
    pixels = noise(3)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b""
    for top, left, down, across in passes:
        part = pixels[top::down, left::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(decoded(data).colour, pixels)


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        pytest.param({"planarconfig": "separate"}, 3, id="planes"),
        pytest.param({"bigtiff": True}, 3, id="bigtiff"),
        pytest.param({"compression": "deflate", "predictor": 2, "byteorder": ">"}, 3, id="deflate-predictor"),
        pytest.param({"compression": "lzw", "rowsperstrip": 3}, 3, id="lzw-strips"),
        pytest.param({"compression": "zstd"}, 3, id="zstd"),
        pytest.param({"tile": (16, 16), "compression": "deflate"}, 4, id="tiles-alpha"),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_however_it_is_stored(options: dict[str, Any], channels: int, bits: int) -> None:
    stored = noise(channels, bits=bits) | 1  # no alpha of 0, so that no colour is hidden
    planes = np.moveaxis(stored, -1, 0) if options.get("planarconfig") else stored
    extra = {"extrasample": "unassalpha"} if channels == 4 else {}
    image = decoded(tiff(planes, photometric="rgb", **options, **extra))
    np.testing.assert_array_equal(image.colour, stored[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(image.alpha, stored[..., 3])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_with_its_most_significant_byte_first(bits: int) -> None:
    np.testing.assert_array_equal(decoded(big_endian_tiff(noise(3, bits=bits))).colour, noise(3, bits=bits))


@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_zero_is_turned_over(bits: int) -> None:
    stored = noise(bits=bits)
    image = decoded(tiff(stored, photometric="miniswhite"))
    np.testing.assert_array_equal(image.colour, grey(np.iinfo(stored.dtype).max - stored))


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_colour_is_divided(bits: int) -> None:
    full = (1 << bits) - 1
    straight = noise(4, bits=bits)
    straight[..., 3] = np.maximum(straight[..., 3], full // 2)
    stored = straight.astype(np.uint64)
    stored[..., :3] = (stored[..., :3] * stored[..., 3:] + full // 2) // full
    image = decoded(tiff(stored.astype(straight.dtype), photometric="rgb", extrasample="assocalpha"))
    np.testing.assert_array_equal(image.alpha, straight[..., 3])
    assert np.abs(image.colour.astype(np.int64) - straight[..., :3]).max() <= 1  # stored with half as many levels


def test_grey_and_alpha_of_sixteen_bits_in_a_tiff() -> None:
    stored = noise(2, bits=16) | 1
    image = decoded(tiff(stored, photometric="minisblack", planarconfig="contig", extrasample="unassalpha"))
    assert image.grey
    np.testing.assert_array_equal(image.colour, grey(stored[..., 0]))
    np.testing.assert_array_equal(image.alpha, stored[..., 1])


def test_a_fourth_sample_that_is_no_alpha_is_left_out() -> None:
    image = decoded(tiff(noise(4), photometric="rgb", extrasample="unspecified"))
    np.testing.assert_array_equal(image.colour, noise(4)[..., :3])
    assert image.alpha is None


def test_ten_bits_of_an_avif_become_sixteen_with_white_at_full() -> None:
    stored = np.full((8, 8, 3), 1023, np.uint16)
    stored[:, 4:] = 0
    data = bytes(imagecodecs.avif_encode(stored, level=100, bitspersample=10, pixelformat="444", speed=10))
    image = decoded(data)
    assert image.colour.dtype == np.uint16
    assert image.colour[0, 0].min() > 65_535 - 200
    assert image.colour[0, 7].max() < 200


@pytest.mark.parametrize(("transfer", "named"), [(16, "PQ"), (18, "HLG")])
def test_an_avif_of_high_dynamic_range_is_refused_by_name(transfer: int, named: str) -> None:
    data = bytearray(STILLS["avif-rgb"]())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", 9, transfer)
    with pytest.raises(UnsupportedPixels, match=named):
        read_header(bytes(data))


def test_an_avif_of_grey_and_alpha_is_grey() -> None:
    data = saved(
        np.dstack([smooth()[..., :1]] * 3 + [smooth()[..., 1:2]]), "AVIF", subsampling="4:0:0", speed=10, quality=100
    )
    image = decoded(data)
    assert image.grey
    assert image.alpha is not None
    assert np.abs(image.colour[..., 0].astype(int) - smooth()[..., 0]).mean() < 3


@pytest.mark.parametrize("name", ["jpeg-rgb", "jpeg-progressive", "avif-rgb", "webp-lossy", "avif-alpha", "webp-alpha"])
def test_lossy_formats_are_as_near_as_another_reader_finds_them(name: str) -> None:
    data = STILLS[name]()
    image = decoded(data)
    assert np.abs(image.colour.astype(int) - by_pillow(data, "RGB")).max() <= (0 if name.startswith("jpeg") else 2)


def test_an_opaque_alpha_stays_an_alpha() -> None:
    stored = noise(4)
    stored[..., 3] = 255
    image = decoded(saved(stored, "PNG"))
    assert image.alpha is not None
    assert image.opaque
    assert (image.alpha == 255).all()


def test_the_padding_of_a_32_bit_bmp_is_no_alpha() -> None:
    image = decoded(bmp_of(noise(4), masks=None, header_size=56))
    assert image.alpha is None
    np.testing.assert_array_equal(image.colour, noise(4)[..., [2, 1, 0]])


def test_a_bmp_whose_alpha_was_never_set_is_opaque() -> None:
    stored = noise(4)
    stored[..., 3] = 0
    image = decoded(bmp_of(stored, masks=BGRA))
    assert image.alpha is None
    np.testing.assert_array_equal(image.colour, stored[..., [2, 1, 0]])


def test_one_pixel_is_a_picture() -> None:
    assert decoded(saved(noise(3)[:1, :1], "PNG")).colour.shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        pytest.param(tiff(noise(3).astype(np.float32)), "32-bit floating point", id="float"),
        pytest.param(tiff(noise(3).astype(np.int16)), "16-bit signed", id="signed"),
        pytest.param(tiff(noise().astype(np.uint32)), "32 bits", id="32-bit"),
        pytest.param(
            STILLS["jpeg-rgb"]().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "12 bits", id="jpeg-12"
        ),
        pytest.param(STILLS["jpeg-rgb"]().replace(b"\xff\xc0", b"\xff\xc3"), "lossless", id="jpeg-lossless"),
    ],
)
def test_pixels_that_are_not_read_are_named(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedPixels) as refused:
        read_header(data)
    assert named in refused.value.detail
    assert refused.value.status == 422


def larger(name: str) -> bytes:
    """The kind's file with enough pixels that cutting it cuts pixels."""
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    forms = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "tiff": "TIFF", "bmp": "BMP"}
    options: dict[str, Any] = {"progressive": True} if name == "jpeg-progressive" else {}
    if name == "tiff-deflate":
        options["compression"] = "tiff_adobe_deflate"
    return saved(pixels, forms[name.split("-")[0]], **options)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["png", "jpeg", "jpeg-progressive", "webp", "avif", "tiff", "tiff-deflate", "bmp"])
def test_a_truncated_file_is_refused(name: str, kept: float) -> None:
    data = larger(name)
    cut = data[: int(len(data) * kept)]
    with pytest.raises(UndecodableImage):
        decoded(cut)


@pytest.mark.parametrize("name", ["png-rgb", "webp-lossless", "avif-rgb", "tiff-rgb-16-tiles", "bmp-32-alpha"])
def test_one_byte_less_is_a_truncated_file(name: str) -> None:
    with pytest.raises(UndecodableImage):
        decoded(STILLS[name]()[:-1])


def test_a_png_with_too_few_rows_is_refused() -> None:
    with pytest.raises(UndecodableImage):
        decoded(png_of(4, 4, rows=bytes(13 * 3)))


def test_a_header_of_other_bytes_is_the_programs_mistake() -> None:
    with pytest.raises(ValueError, match="other bytes"):
        decode(STILLS["png-rgb"](), read_header(STILLS["png-rgba"]()))
