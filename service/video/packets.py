"""Segment files: the encoded packets of some frames, one after the other, in the encoder's order.

A container of FFmpeg's would round the timestamps or move them. The file is complete or it is not there: it is written
under another name, synced and renamed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"srseg1\n"
_HEAD = struct.Struct(">qqIB")  # pts, duration, bytes, whether it is a key frame
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class EncodedPacket:
    """One encoded picture. `pts` and `duration` are in the source's time base."""

    pts: int
    duration: int
    is_key: bool
    content: bytes


class SegmentWriter:
    """Writes a segment to `file`, beginning with the encoder's `extradata`, which all segments must share."""

    def __init__(self, file: BinaryIO, extradata: bytes) -> None:
        self._file = file
        file.write(MAGIC + _LENGTH.pack(len(extradata)) + extradata)

    def add(self, packet: EncodedPacket) -> None:
        """The next packet."""
        self._file.write(_HEAD.pack(packet.pts, packet.duration, len(packet.content), packet.is_key))
        self._file.write(packet.content)


class SegmentReader:
    """Reads one. Raises ValueError for what is none, or breaks off."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("not a segment")
        self.extradata = self._read(*_LENGTH.unpack(self._read(_LENGTH.size)))

    def __iter__(self) -> Iterator[EncodedPacket]:
        while head := self._file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ValueError("a segment breaks off")
            pts, duration, size, is_key = _HEAD.unpack(head)
            yield EncodedPacket(pts, duration, bool(is_key), self._read(size))

    def times(self) -> Iterator[tuple[int, int]]:
        """The packets' (pts, duration), without reading the packets."""
        while head := self._file.read(_HEAD.size):
            pts, duration, size, _ = _HEAD.unpack(head)
            self._file.seek(size, 1)
            yield pts, duration

    def _read(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise ValueError("a segment breaks off")
        return content


def decoding_times(timestamps: list[int]) -> list[int]:
    """The `dts` of packets with these `pts`, which are in decoding order: growing, and none after its `pts`.

    Of a stream in which pictures come up to d places late, packet i is decoded at the time of the (i - d)-th picture;
    the first d before the first picture, at the distances of the first pictures.
    """
    shown = sorted(timestamps)
    delay = 0
    for place, pts in enumerate(timestamps):
        while place - delay >= 0 and shown[place - delay] > pts:
            delay += 1
    before_first = [shown[0] - (shown[delay] - shown[place]) for place in range(delay)]
    return before_first + shown[: len(shown) - delay]
