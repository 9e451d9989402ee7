"""Directories of tags are read as another reader reads them, and written so that it can."""

import io
import struct

import pytest
from PIL import Image, TiffImagePlugin

from service.codecs import tags
from service.codecs.tags import Directory, Tag, TagFile
from service.errors import UndecodableImage
from tests.service.codecs.samples import HEIGHT, WIDTH, noise, saved, tiff


def read(data: bytes) -> tuple[TagFile, Directory]:
    file = TagFile.open(data)
    return file, file.directory(file.first)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_directory_is_read(bigtiff: bool) -> None:
    file, directory = read(tiff(noise(3), bigtiff=bigtiff))
    assert file.big == bigtiff
    assert tags.integer(directory[256], file.order, 0) == WIDTH
    assert tags.integer(directory[257], file.order, 0) == HEIGHT
    assert tags.integers(directory[258], file.order).tolist() == [8, 8, 8]


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_packed_is_what_pillow_reads(order: tags.ByteOrder) -> None:
    written = {
        305: Tag(2, 12, b"a long name\0"),
        256: tags.tag_of(tags.SHORT, 640, order=order),
        258: tags.tag_of(tags.SHORT, 8, 8, 8, order=order),
        282: tags.tag_of(tags.RATIONAL, 72, 1, order=order),
    }
    packed = tags.pack_directory(written, order=order, offset=8)
    assert len(packed) == tags.directory_size(written)
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    foreign = TiffImagePlugin.ImageFileDirectory_v2(head)
    file = io.BytesIO(head + packed)
    file.seek(8)
    foreign.load(file)
    assert dict(foreign) == {305: "a long name", 256: 640, 258: (8, 8, 8), 282: 72}
    assert foreign.next == 0
    _, again = read(head + packed + bytes(8))
    assert again == written


def test_tags_that_cannot_be_read_are_left_out_alone() -> None:
    entries = (
        struct.pack("<HHII", 256, 4, 1, 5)
        + struct.pack("<HHII", 270, 2, 99, 1 << 30)
        + struct.pack("<HHII", 271, 77, 1, 1)
    )
    _, directory = read(struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 3) + entries + bytes(4))
    assert list(directory) == [256]


def test_of_a_repeated_tag_the_first_counts() -> None:
    entries = struct.pack("<HHII", 256, 4, 1, 5) + struct.pack("<HHII", 256, 4, 1, 6)
    file, directory = read(struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 2) + entries + bytes(4))
    assert tags.integer(directory[256], file.order, 0) == 5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"II*\0" + struct.pack("<I", 1000) + bytes(20), "outside", id="offset-behind-the-end"),
        pytest.param(b"II*\0" + struct.pack("<I", 4) + bytes(20), "outside", id="offset-in-the-header"),
        pytest.param(b"II*\0" + struct.pack("<IH", 8, 500) + bytes(20), "outside", id="more-tags-than-bytes"),
        pytest.param(b"II*\0" + struct.pack("<IH", 8, 0) + bytes(20), "outside", id="no-tags"),
        pytest.param(b"II+\0" + bytes(20), "header", id="bigtiff-of-no-offset-size"),
        pytest.param(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 62) + bytes(20), "outside", id="bigtiff-of-many"),
        pytest.param(b"XX*\0" + bytes(20), "header", id="no-byte-order"),
        pytest.param(b"II*\0", "header", id="short"),
    ],
)
def test_nonsense_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableImage, match=reason):
        read(data)


def test_values_that_share_bytes_beyond_reason_are_refused() -> None:
    entries = b"".join(struct.pack("<HHII", code, 7, 60, 8) for code in range(300, 305))
    data = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 5) + entries + bytes(4)
    with pytest.raises(UndecodableImage, match="overlap"):
        read(data)


def test_a_glance_tells_a_smaller_version_and_the_next_directory() -> None:
    file = TagFile.open(saved(noise(3), "TIFF", tiffinfo={254: 1}))
    assert file.glance(file.first) == (1, 0)
    plain = TagFile.open(saved(noise(3), "TIFF"))
    assert plain.glance(plain.first) == (None, 0)
    assert Image.open(io.BytesIO(plain.data)).size == (WIDTH, HEIGHT)
