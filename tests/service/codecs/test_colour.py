"""Profiles stay with the pixels they describe; colours no format is written in become sRGB through theirs."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.codecs import EncodeOptions, decode, encode, read_header
from service.codecs.colour import describes
from tests.service.codecs.samples import noise, png_chunk, saved, smooth, tiff, with_png_chunks

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space: bytes, tag: bytes, body: bytes, *, connection: bytes = b"XYZ ") -> bytes:
    """An ICC profile of one tag."""
    at = 128 + 4 + 12
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"none", 0x02400000, b"prtr", space, connection)
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, tag, at, len(body)) + body


def cmyk_profile() -> bytes:
    """Full cyan is sRGB's green, full yellow its red, and the rest is as dark as their number makes it."""
    identity = bytes(range(256))
    corners = []
    for ink in range(16):
        cyan, magenta, yellow, black = (ink >> bit & 1 for bit in (3, 2, 1, 0))
        lab = (255, 128, 128)
        if cyan and not (magenta or yellow or black):
            lab = (224, 128 - 79, 128 + 81)
        elif ink:
            lab = (40, 128, 128)
        corners.append(bytes(lab))
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x10000)
    body = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + b"".join(corners) + identity * 3
    return profile(b"CMYK", b"A2B0", body, connection=b"Lab ")


def grey_profile(gamma: float = 1.0) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return profile(b"GRAY", b"kTRC", curve)


def cmyk_jpeg(ink: tuple[int, int, int, int], icc_profile: bytes | None) -> bytes:
    pixels = np.broadcast_to(np.array(ink, np.uint8), (16, 16, 4)).copy()
    options = {"icc_profile": icc_profile} if icc_profile else {}
    file = io.BytesIO()
    Image.fromarray(pixels, "CMYK").save(file, "JPEG", quality=100, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_an_rgb_profile_is_kept(form: str) -> None:
    data = saved(smooth(), form, icc_profile=SRGB)
    assert decode(data, read_header(data)).metadata.icc_profile == SRGB


def test_a_profile_of_many_segments_is_put_together() -> None:
    large = SRGB + np.random.default_rng(0).bytes(150_000)
    data = saved(smooth(), "JPEG", icc_profile=large)
    assert decode(data, read_header(data)).metadata.icc_profile == large


def test_a_sixteen_bit_picture_keeps_its_profile() -> None:
    data = tiff(noise(3, bits=16), iccprofile=SRGB)
    assert decode(data, read_header(data)).metadata.icc_profile == SRGB


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_grey_profile_is_kept_with_grey(form: str) -> None:
    data = saved(smooth()[..., 0], form, icc_profile=grey_profile())
    assert decode(data, read_header(data)).metadata.icc_profile == grey_profile()


@pytest.mark.parametrize(
    ("pixels", "unfit"),
    [
        pytest.param(smooth()[..., 0], SRGB, id="rgb-profile-of-grey"),
        pytest.param(smooth(), grey_profile(), id="grey-profile-of-rgb"),
        pytest.param(smooth(), cmyk_profile(), id="cmyk-profile-of-rgb"),
        pytest.param(smooth(), b"no profile at all", id="nonsense"),
    ],
)
def test_a_profile_that_does_not_describe_the_pixels_is_dropped(pixels: np.ndarray, unfit: bytes) -> None:
    data = saved(pixels, "PNG", icc_profile=unfit)
    assert decode(data, read_header(data)).metadata.icc_profile is None


def test_a_damaged_profile_chunk_is_no_reason_to_refuse_the_picture() -> None:
    data = with_png_chunks(saved(noise(3), "PNG"), png_chunk(b"iCCP", b"name\0\0not a zlib stream"))
    image = decode(data, read_header(data))
    assert image.metadata.icc_profile is None
    np.testing.assert_array_equal(image.colour, noise(3))


def test_cmyk_goes_through_its_profile() -> None:
    data = cmyk_jpeg((255, 0, 0, 0), cmyk_profile())
    image = decode(data, read_header(data))
    red, green, blue = image.colour[8, 8].tolist()
    assert green > 225
    assert max(red, blue) < 60
    assert image.metadata.icc_profile is None  # it described the inks
    assert not image.grey


@pytest.mark.parametrize("broken", [None, cmyk_profile()[:140], cmyk_profile()[:36] + b"acsp" + bytes(200), SRGB])
def test_cmyk_without_a_usable_profile_goes_by_the_plain_formula(broken: bytes | None) -> None:
    data = cmyk_jpeg((255, 0, 0, 0), broken)
    image = decode(data, read_header(data))
    assert np.abs(image.colour.astype(int) - (0, 255, 255)).max() <= 3
    assert image.metadata.icc_profile is None


def test_a_cmyk_tiff_is_read_as_its_jpeg_is() -> None:
    data = saved(noise(3), "TIFF", mode="CMYK")
    np.testing.assert_array_equal(decode(data, read_header(data)).colour, noise(3))


def test_lab_needs_no_profile() -> None:
    lab = np.zeros((8, 8, 3), np.uint8)
    lab[..., 0] = 255  # L* 100, a* and b* 0
    lab[4:, :, 0] = 137  # L* 53.7
    file = io.BytesIO()
    Image.merge("LAB", [Image.fromarray(lab[..., 0]), *[Image.new("L", (8, 8), 128)] * 2]).save(file, "TIFF")
    data = file.getvalue()
    colour = decode(data, read_header(data)).colour
    assert np.abs(colour[0, 0].astype(int) - 255).max() <= 2
    assert np.abs(colour[7, 7].astype(int) - 128).max() <= 3


def test_ycbcr_in_a_tiff_becomes_rgb() -> None:
    data = saved(smooth(), "TIFF", compression="jpeg", quality=100)
    assert np.abs(decode(data, read_header(data)).colour.astype(int) - smooth()).mean() < 4


def test_a_grey_profile_is_used_up_where_the_format_has_no_grey() -> None:
    data = saved(np.full((8, 8), 128, np.uint8), "PNG", icc_profile=grey_profile(gamma=1.0))
    image = decode(data, read_header(data))
    written = encode(image, EncodeOptions("webp", quality=100))
    again = decode(written, read_header(written))
    assert again.metadata.icc_profile is None
    assert np.abs(again.colour.astype(int) - 188).max() <= 1  # half the light is 188 of 255 in sRGB


def test_a_profile_is_known_by_its_header() -> None:
    assert describes(SRGB, grey=False)
    assert not describes(SRGB, grey=True)
    assert describes(grey_profile(), grey=True)
    assert not describes(None, grey=False)
