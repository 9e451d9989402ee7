"""A header tells size, depth, alpha and frames without a pixel being decoded; limits refuse by it."""

import io
import struct

import pytest
from PIL import Image

from service.codecs import ImageHeader, ImageLimits, check_header, read_header
from service.errors import AnimatedImage, TooManyPixels, UndecodableImage
from tests.service.codecs.child import run_alone
from tests.service.codecs.samples import HEIGHT, STILLS, WIDTH, animated, noise, png_of, saved

LIMITS = ImageLimits(max_input_pixels=32_000_000, max_side=16_384)
DEEP = {
    "png-rgb-16",
    "png-rgba-16",
    "png-grey-16",
    "avif-10-bit",
    "tiff-rgba-16",
    "tiff-rgb-16-tiles",
    "tiff-grey-16-big",
}
TRANSPARENT = {
    "png-rgba",
    "png-grey-alpha",
    "png-palette-alpha",
    "png-colour-key",
    "png-rgba-16",
    "webp-alpha",
    "avif-alpha",
    "tiff-rgba-16",
    "bmp-32-alpha",
}


def claiming(name: str, width: int, height: int) -> bytes:
    """The sample of a format with another size written into its header."""
    data = bytearray(STILLS[name]())
    if name == "png-rgb":
        return png_of(width, height)
    if name == "jpeg-rgb":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif name == "webp-metadata":
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif name == "avif-rgb":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", width, height)
    elif name == "tiff-rgb":
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHI", tag, 3, 1))
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    elif name == "bmp-24":
        data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


RESIZABLE = ["png-rgb", "jpeg-rgb", "webp-metadata", "avif-rgb", "tiff-rgb", "bmp-24"]


@pytest.mark.parametrize("name", STILLS)
def test_the_header_of_every_kind(name: str) -> None:
    turned = name.endswith("-metadata")  # these are stored lying on their side
    expected = ImageHeader(
        format=name.split("-")[0],
        width=HEIGHT if turned else WIDTH,
        height=WIDTH if turned else HEIGHT,
        bits=16 if name in DEEP else 8,
        has_alpha=name in TRANSPARENT,
        frames=1,
    )
    assert read_header(STILLS[name]()) == expected


@pytest.mark.parametrize("name", ["png-rgb", "jpeg-rgb", "webp-lossless", "bmp-24", "avif-rgb"])
def test_a_header_needs_no_pixels_behind_it(name: str) -> None:
    data = STILLS[name]()
    assert read_header(data[: len(data) * 4 // 5]) == read_header(data)


@pytest.mark.parametrize("name", RESIZABLE)
def test_a_bomb_is_refused_by_the_size_it_claims(name: str) -> None:
    # WebP's and JPEG's headers have no room for 20000; 16000x16000 is eight times the limit all the same.
    header = read_header(claiming(name, 16_000, 16_000))
    with pytest.raises(TooManyPixels) as refused:
        check_header(header, LIMITS)
    assert refused.value.members == {"limit": 32_000_000, "actual": 256_000_000}
    assert "256000000" in refused.value.detail
    assert "32000000" in refused.value.detail


@pytest.mark.parametrize("name", ["png-rgb", "jpeg-rgb", "avif-rgb", "tiff-rgb", "bmp-24"])
@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(name: str, width: int, height: int) -> None:
    with pytest.raises(UndecodableImage) as refused:
        read_header(claiming(name, width, height))
    assert f"{width}x{height}" in refused.value.detail


def test_a_png_bomb_of_a_kilobyte_costs_neither_time_nor_memory() -> None:
    code = """
data, refused = sys.stdin.buffer.read(), []

def refuse():
    try:
        check_header(read_header(data), ImageLimits(32_000_000, 16_384))
    except ServiceError as error:
        refused.append(type(error).__name__)

start = time.process_time()
peak = bytes_above(refuse)
answer([refused, time.process_time() - start, peak])
"""
    bomb = png_of(20_000, 20_000, rows=bytes(300_000))
    assert len(bomb) < 1024
    refused, seconds, peak = run_alone(code, stdin=bomb)
    assert refused == ["TooManyPixels"]
    assert seconds < 0.05
    assert peak < 1 << 20


def test_limits_are_reached_before_they_are_passed() -> None:
    check_header(ImageHeader("png", 16_384, 1_953, 8, has_alpha=False, frames=1), LIMITS)
    with pytest.raises(TooManyPixels) as refused:
        check_header(ImageHeader("png", 16_385, 1, 8, has_alpha=False, frames=1), LIMITS)
    assert refused.value.members == {"limit": 16_384, "actual": 16_385}


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_several_frames_are_refused_with_their_number(form: str) -> None:
    header = read_header(animated(form, frames=3))
    assert header.frames == 3
    with pytest.raises(AnimatedImage) as refused:
        check_header(header, LIMITS)
    assert refused.value.members == {"limit": 1, "actual": 3}
    assert "3 frames" in refused.value.detail


def test_the_smaller_versions_in_a_tiff_are_not_pages() -> None:
    file = io.BytesIO()
    page = Image.fromarray(noise(3))
    thumbnail = page.resize((5, 3))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(file, "TIFF", save_all=True, append_images=[thumbnail])
    assert read_header(file.getvalue()).frames == 1


def test_a_jpeg_with_more_pictures_behind_it_is_its_first() -> None:
    file = io.BytesIO()
    Image.fromarray(noise(3)).save(file, "MPO", save_all=True, append_images=[Image.fromarray(noise(3, seed=1))])
    assert read_header(file.getvalue()).frames == 1


def test_the_size_is_the_upright_one() -> None:
    data = saved(noise(3), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0")
    header = read_header(data)
    assert (header.width, header.height) == (HEIGHT, WIDTH)
