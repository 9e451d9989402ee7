"""Containers are known by their first bytes, and each pixel format is written as what holds it."""

import pytest

from service.video.formats import CODECS, ENCODERS, PixelFormat, read_pixel_format, sniff_video, written_pixel_format


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\x00\x00\x00\x20ftypisom", "mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "mov"),
        (b"\x00\x00\x00\x08wide", "mov"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "webm"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x88matroska", "mkv"),
        (b"\x00\x00\x00\x1cftypavif", None),
        (b"\x00\x00\x00\x1cftypheic", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", None),
        (b"RIFF\x00\x00\x00\x00AVI LIST", None),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nhttp://127.0.0.1/x.ts", None),
        (b"ffconcat version 1.0\nfile /etc/passwd", None),
        (b"", None),
    ],
)
def test_a_container_is_known_by_its_first_bytes(head: bytes, container: str | None) -> None:
    assert sniff_video(head.ljust(64, b"\x00")) == container


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yuv420p", PixelFormat("420", 8, full_range=False, has_alpha=False)),
        ("yuvj422p", PixelFormat("422", 8, full_range=True, has_alpha=False)),
        ("yuv444p12le", PixelFormat("444", 12, full_range=False, has_alpha=False)),
        ("nv12", PixelFormat("420", 8, full_range=False, has_alpha=False)),
        ("p010le", PixelFormat("420", 10, full_range=False, has_alpha=False)),
        ("gray", PixelFormat("gray", 8, full_range=False, has_alpha=False)),
        ("gray10le", PixelFormat("gray", 10, full_range=False, has_alpha=False)),
        ("gbrp", PixelFormat("444", 8, full_range=False, has_alpha=False)),
        ("gbrp10le", PixelFormat("444", 10, full_range=False, has_alpha=False)),
        ("bgr0", PixelFormat("444", 8, full_range=False, has_alpha=False)),
        ("rgb48le", PixelFormat("444", 16, full_range=False, has_alpha=False)),
        ("yuva420p", PixelFormat("420", 8, full_range=False, has_alpha=True)),
        ("rgba", PixelFormat("444", 8, full_range=False, has_alpha=True)),
        ("ya8", PixelFormat("gray", 8, full_range=False, has_alpha=True)),
        ("yuv411p", PixelFormat("444", 8, full_range=False, has_alpha=False)),
    ],
)
def test_a_pixel_format_is_read_by_its_name(name: str, expected: PixelFormat) -> None:
    assert read_pixel_format(name) == expected


@pytest.mark.parametrize(
    ("source", "codec", "size", "written"),
    [
        ("yuv420p", "h264", (64, 96), "yuv420p"),
        ("yuvj420p", "h264", (64, 96), "yuv420p"),
        ("yuv422p", "h264", (64, 96), "yuv422p"),
        ("yuv444p", "h265", (64, 96), "yuv444p"),
        ("yuv420p10le", "h264", (64, 96), "yuv420p10le"),
        ("yuv420p12le", "h264", (64, 96), "yuv420p10le"),
        ("yuv420p12le", "h265", (64, 96), "yuv420p12le"),
        ("yuv422p", "av1", (64, 96), "yuv420p"),
        ("gray", "h264", (64, 96), "yuv420p"),
        ("gray", "ffv1", (64, 96), "gray"),
        ("gray16le", "ffv1", (64, 96), "gray16le"),
        ("yuv420p", "h264", (64, 97), "yuv444p"),
        ("yuv420p", "h264", (65, 96), "yuv422p"),
        ("yuv420p", "ffv1", (65, 97), "yuv420p"),
        ("yuv420p", "av1", (64, 97), None),
        ("rgb24", "h264", (64, 96), "yuv444p"),
    ],
)
def test_what_is_written_holds_what_was_read(
    source: str, codec: str, size: tuple[int, int], written: str | None
) -> None:
    assert codec in CODECS
    assert written_pixel_format(read_pixel_format(source), codec, height=size[0], width=size[1]) == written


def test_every_format_that_may_be_written_is_one_of_the_encoders() -> None:
    av = pytest.importorskip("av")
    for codec, encoder in ENCODERS.items():
        able = {found.name for found in av.codec.Codec(encoder.name, "w").video_formats}
        for layout in encoder.layouts:
            for depth in encoder.depths:
                source = PixelFormat(layout, depth, full_range=False, has_alpha=False)
                assert written_pixel_format(source, codec, height=64, width=96) in able
