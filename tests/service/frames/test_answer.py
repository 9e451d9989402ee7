"""Answers to a clip can be read by those who know the formats, as they come and as a whole."""

import io
import json
import struct
import zipfile
import zlib
from email.message import Message
from email.parser import BytesParser

import pytest

from service.frames.answer import CONTAINERS, MULTIPART, ZIP, Part, container_of, frame_part, problem_part, summary_part

PARTS = [
    frame_part(0, b"first\r\n--", format_name="png", media_type="image/png"),
    problem_part(1, {"code": "undecodable-image", "status": 422}),
    frame_part(2, bytes(range(256)) * 300, format_name="webp", media_type="image/webp"),
    summary_part({"frames": 3}),
]


def pieces(media_type: str, parts: list[Part]) -> tuple[str, list[bytes]]:
    container = container_of(media_type)
    return container.media_type, [container.add(part) for part in parts] + [container.end()]


def test_multipart_is_what_the_standard_library_reads() -> None:
    media_type, made = pieces(MULTIPART, PARTS)
    message = BytesParser().parsebytes(b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + b"".join(made))
    found = [part for part in message.get_payload() if isinstance(part, Message)]
    assert [part.get_content_type() for part in found] == [
        "image/png",
        "application/problem+json",
        "image/webp",
        "application/json",
    ]
    assert [part["X-Frame-Index"] for part in found] == ["0", "1", "2", None]
    assert [part.get_filename() for part in found] == [
        "000000.png",
        "000001.problem.json",
        "000002.webp",
        "summary.json",
    ]
    assert [int(str(part["Content-Length"])) for part in found] == [len(part.content) for part in PARTS]
    assert json.loads(PARTS[1].content) == {"code": "undecodable-image", "status": 422, "frame": 1}


def test_a_multipart_reader_needs_only_the_lengths() -> None:
    _, made = pieces(MULTIPART, PARTS)
    for part, piece in zip(PARTS, made, strict=False):
        head, _, rest = piece.partition(b"\r\n\r\n")
        assert rest == part.content + b"\r\n"
        assert f"Content-Length: {len(part.content)}".encode() in head


def test_a_zip_is_stored_and_whole() -> None:
    _, made = pieces(ZIP, PARTS)
    with zipfile.ZipFile(io.BytesIO(b"".join(made))) as archive:
        assert archive.testzip() is None
        assert [entry.compress_type for entry in archive.infolist()] == [zipfile.ZIP_STORED] * 4
        assert [archive.read(part.name) for part in PARTS] == [part.content for part in PARTS]


def test_a_zip_can_be_read_as_it_comes() -> None:
    """Sizes and CRC stand before the data of each file, not behind it."""
    _, made = pieces(ZIP, PARTS)
    for part, piece in zip(PARTS, made, strict=False):
        signature, _, flags, method, _, _, crc, stored, size, name, extra = struct.unpack("<4sHHHHHIIIHH", piece[:30])
        assert (signature, method, flags & 0x08) == (b"PK\x03\x04", 0, 0)
        assert (stored, size, crc) == (len(part.content),) * 2 + (zlib.crc32(part.content),)
        assert piece[30 + name + extra :] == part.content


def test_equal_answers_are_equal_zips() -> None:
    assert pieces(ZIP, PARTS) == pieces(ZIP, PARTS)


@pytest.mark.parametrize("media_type", CONTAINERS)
def test_an_answer_keeps_nothing_of_what_it_has_given(media_type: str) -> None:
    container = container_of(media_type)
    for number in range(3):
        container.add(frame_part(number, bytes(1 << 20), format_name="png", media_type="image/png"))
    kept = container._tail._rest.getvalue() if media_type == ZIP else b""  # type: ignore[attr-defined]
    assert kept == b""


def test_more_frames_than_a_plain_zip_can_count_are_no_limit() -> None:
    container = container_of(ZIP)
    content = [container.add(frame_part(n, b"x", format_name="png", media_type="image/png")) for n in range(70_000)]
    with zipfile.ZipFile(io.BytesIO(b"".join([*content, container.end()]))) as archive:
        assert len(archive.namelist()) == 70_000
