"""TIFF's directories of tags, read and written: TIFF files are made of them, and so is every EXIF block.

Adobe, "TIFF Revision 6.0", section 2. Reading is bounded: in a hostile file thousands of tags share bytes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.codecs.border import damaged

ByteOrder = Literal["<", ">"]

SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_TAGS = 65_535  # all that two bytes can count and two bytes can name; BigTIFF has more room than use
_UNSIGNED = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}


@dataclass(frozen=True)
class Tag:
    """One value of a directory: `count` items of TIFF's type `kind`, as bytes in the directory's byte order."""

    kind: int
    count: int
    value: bytes


Directory = dict[int, Tag]


@dataclass(frozen=True)
class TagFile:
    """The frame of a TIFF structure: its bytes, byte order, and where the first directory is."""

    data: bytes
    order: ByteOrder
    big: bool
    """BigTIFF: counts and offsets of 8 bytes."""
    first: int

    @classmethod
    def open(cls, data: bytes) -> "TagFile":
        """Read the 8 (BigTIFF: 16) bytes at the start. Raises UndecodableImage."""
        order: ByteOrder = "<" if data[:2] == b"II" else ">"
        if len(data) < 16 or data[:2] not in (b"II", b"MM"):
            raise damaged("tag structure", "it has no TIFF header")
        magic = struct.unpack_from(f"{order}H", data, 2)[0]
        if magic == 42:
            return cls(data, order, big=False, first=struct.unpack_from(f"{order}I", data, 4)[0])
        if magic == 43 and struct.unpack_from(f"{order}HH", data, 4) == (8, 0):
            return cls(data, order, big=True, first=struct.unpack_from(f"{order}Q", data, 8)[0])
        raise damaged("tag structure", "it has no TIFF header")

    def directory(self, offset: int) -> Directory:
        """The tags of the directory at `offset`; of a repeated tag the first one counts.

        Tags of unknown type or with a value outside the file are left out. Raises UndecodableImage where the directory
        itself is outside, or where its values together are larger than the file, which no honest file's are.
        """
        start, entries, _ = self._frame(offset)
        entry = struct.Struct(f"{self.order}HHQ8s" if self.big else f"{self.order}HHI4s")
        tags: Directory = {}
        total = 0
        for index in range(entries):
            code, kind, count, inline = entry.unpack_from(self.data, start + index * entry.size)
            value = self._value(kind, count, inline)
            if value is None or code in tags:
                continue
            total += len(value)
            if total > len(self.data):
                raise damaged("tag structure", "its values overlap")
            tags[code] = Tag(kind, count, value)
        return tags

    def glance(self, offset: int) -> tuple[int | None, int]:
        """(the directory's NewSubfileType if it has one, offset of the next directory or 0), without reading it all."""
        start, _, following = self._frame(offset)
        code, kind = struct.unpack_from(f"{self.order}HH", self.data, start)
        inline = struct.unpack_from(f"{self.order}I", self.data, start + (12 if self.big else 8))[0]
        at_end = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", self.data, following)[0]
        return (inline if (code, kind) == (254, LONG) else None), at_end

    def _frame(self, offset: int) -> tuple[int, int, int]:
        """(offset of the first entry, number of entries, offset of the pointer after the last)."""
        head, size, pointer = (8, 20, 8) if self.big else (2, 12, 4)
        if not 8 <= offset <= len(self.data) - head:
            raise damaged("tag structure", "a directory lies outside the file")
        entries = int.from_bytes(self.data[offset : offset + head], "little" if self.order == "<" else "big")
        following = offset + head + entries * size
        if not 0 < entries <= _MAX_TAGS or following + pointer > len(self.data):
            raise damaged("tag structure", "a directory lies outside the file")
        return offset + head, entries, following

    def _value(self, kind: int, count: int, inline: bytes) -> bytes | None:
        size = _TYPE_SIZES.get(kind, 0) * count
        if size <= len(inline):
            return inline[:size] if size else None
        offset = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", inline)[0]
        return self.data[offset : offset + size] if offset + size <= len(self.data) else None


def integers(tag: Tag | None, order: ByteOrder) -> npt.NDArray[np.int64]:
    """The tag's values as integers; empty where the tag is missing or of no unsigned integer type."""
    if tag is None or tag.kind not in _UNSIGNED:
        return np.empty(0, np.int64)
    return np.frombuffer(tag.value, f"{order}{_UNSIGNED[tag.kind]}", tag.count).astype(np.int64)


def integer(tag: Tag | None, order: ByteOrder, default: int) -> int:
    """The tag's first value, or `default`."""
    values = integers(tag, order)
    return int(values[0]) if values.size else default


def tag_of(kind: int, *values: int, order: ByteOrder) -> Tag:
    """A tag of SHORTs, LONGs or RATIONALs (numerator, denominator, ...)."""
    code = {SHORT: "H", LONG: "I", RATIONAL: "I"}[kind]
    count = len(values) // 2 if kind == RATIONAL else len(values)
    return Tag(kind, count, struct.pack(f"{order}{len(values)}{code}", *values))


def directory_size(tags: Mapping[int, Tag]) -> int:
    """Bytes that `pack_directory` makes of them, values included."""
    return 6 + 12 * len(tags) + sum(_padded(tag) for tag in tags.values())


def pack_directory(tags: Mapping[int, Tag], *, order: ByteOrder, offset: int) -> bytes:
    """A classic directory, alone in its chain, with its values behind it, to stand at `offset` (even) of the file."""
    entries: list[bytes] = [struct.pack(f"{order}H", len(tags))]
    values: list[bytes] = []
    at = offset + 6 + 12 * len(tags)
    for code, tag in sorted(tags.items()):
        padded = _padded(tag)
        inline = struct.pack(f"{order}I", at) if padded else tag.value.ljust(4, b"\0")
        entries.append(struct.pack(f"{order}HHI", code, tag.kind, tag.count) + inline)
        if padded:
            values.append(tag.value.ljust(padded, b"\0"))
            at += padded
    return b"".join([*entries, b"\0\0\0\0", *values])


def _padded(tag: Tag) -> int:
    """Bytes the value takes behind the directory: none up to 4 bytes, else an even number."""
    return 0 if len(tag.value) <= 4 else len(tag.value) + len(tag.value) % 2
