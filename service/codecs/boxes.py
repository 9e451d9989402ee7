"""ISO base media files (AVIF is one): their boxes walked, and the fields inside read, never past the end.

ISO/IEC 14496-12, section 4.2.
"""

from collections.abc import Iterator

from service.codecs.border import damaged

_MAX_BOXES = 4_096


class FieldReader:
    """Reads big-endian numbers one after the other from a span of the file. Raises UndecodableImage at its end."""

    def __init__(self, data: bytes, span: tuple[int, int]) -> None:
        self._data = data
        self._at, self._end = span

    def number(self, size: int) -> int:
        """The next `size` bytes (0: absent, so 0)."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """The next `size` bytes as they are."""
        if self._at + size > self._end:
            raise damaged("AVIF", "a box ends before its fields do")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> tuple[int, int]:
        """The span that has not been read."""
        return self._at, self._end


def boxes(data: bytes, span: tuple[int, int]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """(type, span of the body) of each box in a span. A last box that is cut short is given as far as it goes."""
    start, end = span
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        reader = FieldReader(data, (start, end))
        size, kind = reader.number(4), reader.take(4)
        if size == 1:
            size = reader.number(8)
        body = reader.rest()[0]
        stop = start + size if size else end
        if stop < body:
            raise damaged("AVIF", "a box is smaller than its own header")
        yield kind, (body, min(stop, end))
        start = stop
    raise damaged("AVIF", f"it has more than {_MAX_BOXES} boxes")
