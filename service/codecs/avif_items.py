"""AVIF's items: what the primary picture is, measured twice, by the container and by the AV1 stream itself.

ISO/IEC 23008-12 (items and their properties) and the AV1 Image File Format. A stream larger than the container says
would be decoded whole before libavif notices: 2 kB can cost 800 MB. So it is refused here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from service.codecs.av1 import frame_sizes
from service.codecs.border import damaged
from service.codecs.boxes import FieldReader, boxes

Span = tuple[int, int]

_SPARE_PIXELS = 1 << 22  # a cell of a grid may be larger than the picture it is cut to, within reason
_MAX_EXTENTS = 4_096  # items and their pieces
_MAX_TABLE_BYTES = 1 << 20  # of each table in the meta box; a grid of a hundred cells needs 10 kB
_MAX_TRACKS = 8


@dataclass
class Items:
    """The meta box of a file, by item number."""

    data: bytes
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    """Of each item its type: av01, grid, Exif; for an XMP packet `application/rdf+xml`."""
    extents: dict[int, list[Span]] = field(default_factory=dict)
    properties: list[tuple[bytes, Span]] = field(default_factory=list)
    owned: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    """(type, from item, to items)"""

    def properties_of(self, item: int) -> Iterator[tuple[bytes, FieldReader]]:
        """(type, reader of its body) of each property, in the file's order."""
        for index in self.owned.get(item, []):
            if 1 <= index <= len(self.properties):
                kind, span = self.properties[index - 1]
                yield kind, FieldReader(self.data, span)

    def bytes_of(self, item: int) -> memoryview:
        """The item's data, as much of it as is there."""
        pieces = [memoryview(self.data)[start:end] for start, end in self.extents.get(item, [])]
        return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))

    def of_kind(self, kind: bytes) -> list[int]:
        """The items of a type."""
        return [item for item, its_kind in self.kinds.items() if its_kind == kind]

    def complete(self) -> bool:
        """Whether every coded picture lies inside the file."""
        ends = [end for item in self.of_kind(b"av01") for _, end in self.extents.get(item, [])]
        return all(end <= len(self.data) for end in ends)


def read_items(data: bytes, span: Span) -> Items:
    """Read a meta box's body. Raises UndecodableImage."""
    items = Items(data)
    inside = dict(boxes(data, (span[0] + 4, span[1])))  # after version and flags
    for kind, read in (
        (b"pitm", _read_primary),
        (b"iinf", _read_kinds),
        (b"iref", _read_references),
        (b"iprp", _read_properties),
    ):
        if kind in inside:
            read(items, inside[kind])
    if b"iloc" in inside:
        _read_extents(items, inside[b"iloc"], idat=inside.get(b"idat", (0, 0))[0])
    return items


def check_streams(items: Items, *, pixels: int) -> None:
    """Refuse a file in which an AV1 stream is larger than the picture of `pixels` that it belongs to."""
    for item in items.of_kind(b"av01"):
        for width, height in frame_sizes(items.bytes_of(item)):
            if width * height > max(pixels, _SPARE_PIXELS):
                raise damaged("AVIF", f"its stream has {width}x{height} pixels, more than its container says")


def count_samples(data: bytes, span: Span) -> int:
    """Pictures in the longest track of a moov box: more than 0 in an image sequence."""
    spans = [span]
    for kind in (b"trak", b"mdia", b"minf", b"stbl", b"stsz"):
        spans = [inner for outer in spans for its_kind, inner in boxes(data, outer) if its_kind == kind][:_MAX_TRACKS]
    counts = []
    for inner in spans:
        reader = FieldReader(data, inner)
        reader.take(8)  # version, flags, the size of samples that are all of one size
        counts.append(reader.number(4))
    return max(counts, default=0)


def _table(items: Items, span: Span) -> FieldReader:
    if span[1] - span[0] > _MAX_TABLE_BYTES:
        raise damaged("AVIF", f"one of its tables has more than {_MAX_TABLE_BYTES} bytes")
    return FieldReader(items.data, span)


def _read_primary(items: Items, span: Span) -> None:
    reader = FieldReader(items.data, span)
    items.primary = reader.number(2 if reader.number(4) >> 24 == 0 else 4)


def _read_kinds(items: Items, span: Span) -> None:
    reader = _table(items, span)
    reader.number(2 if reader.number(4) >> 24 == 0 else 4)  # the number of entries: the boxes themselves tell
    for kind, inner in boxes(items.data, reader.rest()):
        entry = FieldReader(items.data, inner)
        version = entry.number(4) >> 24
        if kind != b"infe" or version not in (2, 3):
            continue
        item = entry.number(2 if version == 2 else 4)
        entry.number(2)  # protection
        item_kind = entry.take(4)
        names = items.data[slice(*entry.rest())].split(b"\0")  # name, and of a mime item the content type
        items.kinds.setdefault(item, names[1] if item_kind == b"mime" and len(names) > 1 else item_kind)


def _read_references(items: Items, span: Span) -> None:
    reader = _table(items, span)
    size = 2 if reader.number(4) >> 24 == 0 else 4
    for kind, inner in boxes(items.data, reader.rest()):
        entry = FieldReader(items.data, inner)
        source = entry.number(size)
        items.references.append((kind, source, [entry.number(size) for _ in range(entry.number(2))]))


def _read_properties(items: Items, span: Span) -> None:
    for kind, inner in boxes(items.data, span):
        if kind == b"ipco":
            items.properties = list(boxes(items.data, inner))
        elif kind == b"ipma":
            reader = _table(items, inner)
            head = reader.number(4)
            size, bits = (2 if head >> 24 == 0 else 4), (15 if head & 1 else 7)
            for _ in range(reader.number(4)):
                item = reader.number(size)
                indices = [reader.number(1 + bits // 8) & ((1 << bits) - 1) for _ in range(reader.number(1))]
                items.owned.setdefault(item, []).extend(indices)


def _read_extents(items: Items, span: Span, *, idat: int) -> None:
    """iloc, ISO/IEC 14496-12, 8.11.3."""
    reader = _table(items, span)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    budget, claimed = _MAX_EXTENTS, 0
    for _ in range(reader.number(2 if version < 2 else 4)):
        item = reader.number(2 if version < 2 else 4)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data reference
        base = reader.number(base_size) + (idat if method == 1 else 0)
        extents: list[Span] = []
        for _ in range(reader.number(2)):
            reader.number(index_size if version else 0)
            start = base + reader.number(offset_size)
            length = reader.number(length_size)
            extents.append((start, start + length if length else len(items.data)))
        budget -= 1 + len(extents)
        # Pieces that overlap would make much memory of a small file. One piece is a view, and may be cut short.
        claimed += sum(end - start for start, end in extents) if len(extents) > 1 else 0
        if method > 1 or budget < 0 or claimed > len(items.data):
            raise damaged("AVIF", "it says where its pictures are in a way that makes no sense")
        items.extents.setdefault(item, extents)
