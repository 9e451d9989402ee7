"""Formats are told by content; a declared type must agree with it, and silence is taken for 'look yourself'."""

import pytest

from service.codecs import INPUT_FORMATS, MEDIA_TYPES, check_media_type, read_header, sniff
from service.errors import EmptyBody, MediaTypeMismatch, UnsupportedMedia
from tests.service.codecs.samples import STILLS, noise, saved


@pytest.mark.parametrize("name", STILLS)
def test_a_format_is_known_by_its_bytes(name: str) -> None:
    assert sniff(STILLS[name]()) == name.split("-")[0]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        pytest.param(saved(noise(), "GIF"), "GIF", id="gif"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", id="heic"),
        pytest.param(b"\xff\x0a" + bytes(30), "JPEG XL", id="jpeg-xl"),
        pytest.param(b"  <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", id="svg"),
        pytest.param(b"%PDF-1.7", "PDF", id="pdf"),
        pytest.param(b"BM in the beginning of a text", "no format that is known", id="text-that-begins-as-bmp"),
        pytest.param(b"RIFF\0\0\0\0WAVEfmt ", "no format that is known", id="sound-in-riff"),
        pytest.param(b"\x89PN", "no format that is known", id="three-bytes"),
    ],
)
def test_what_is_not_read_is_named_and_answered_with_what_is(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        read_header(data)
    assert named in refused.value.detail
    assert all(name in refused.value.detail for name in INPUT_FORMATS)
    assert refused.value.members["supported"] == list(MEDIA_TYPES.values())
    assert refused.value.headers["Accept"] == ", ".join(MEDIA_TYPES.values())
    assert refused.value.status == 415


def test_zero_bytes_are_an_empty_body() -> None:
    with pytest.raises(EmptyBody):
        read_header(b"")


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "image/*",
        "*/*",
        "image/jpeg",
        "IMAGE/JPEG; charset=binary",
        "image/jpg",
        "image/pjpeg",
    ],
)
def test_a_jpeg_may_be_declared_so_or_not_at_all(declared: str | None) -> None:
    check_media_type(declared, read_header(STILLS["jpeg-rgb"]()))


def test_a_png_declared_as_jpeg_is_a_mismatch_that_names_both() -> None:
    with pytest.raises(MediaTypeMismatch) as refused:
        check_media_type("image/jpeg", read_header(STILLS["png-rgb"]()))
    assert refused.value.members == {"declared": "image/jpeg", "actual": "image/png"}
    assert refused.value.status == 415


@pytest.mark.parametrize("declared", ["text/plain", "application/json", "video/mp4", "nonsense"])
def test_a_type_that_is_no_images_is_refused_whatever_the_bytes_are(declared: str) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        check_media_type(declared, read_header(STILLS["png-rgb"]()))
    assert declared in refused.value.detail
    assert not isinstance(refused.value, MediaTypeMismatch)
