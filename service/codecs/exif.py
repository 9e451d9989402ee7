"""EXIF: the orientation is read from it and then taken out, the thumbnail dropped, the rest carried over whole.

CIPA DC-008 (EXIF 2.32): an EXIF block is a TIFF structure whose main directory points at two or three others.
"""

import re
import struct
from dataclasses import dataclass, field

from service.codecs import tags
from service.codecs.tags import Directory, Tag, TagFile
from service.errors import UndecodableImage

ORIENTATION = 0x0112
_POINTERS = (0x8769, 0x8825, 0xA005)  # to the directories Exif, GPS and, inside Exif, Interoperability
_PIXEL_SIZE = (0xA002, 0xA003)  # PixelXDimension, PixelYDimension
# How pixels lie in a file: belongs to the file they came from, never to the next one.
_STRUCTURE = {
    *range(254, 260), 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, *range(288, 294), 297, 301,
    *range(317, 326), 330, 332, 338, 339, 340, 341, 347, *range(512, 522), *range(529, 533), 700, 34675,
}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A directory of EXIF tags with the directories it points at, by the pointing tag."""

    values: Directory = field(default_factory=dict)
    children: "dict[int, Tree]" = field(default_factory=dict)


def orientation_of(exif: bytes | None) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none or the block is damaged."""
    if exif is None:
        return 1
    try:
        file = TagFile.open(exif)
        value = tags.integer(file.directory(file.first).get(ORIENTATION), file.order, 1)
    except UndecodableImage:
        return 1  # what can be seen of the picture does not depend on a damaged description of it
    return value if 1 <= value <= 8 else 1


def upright(exif: bytes | None) -> bytes | None:
    """The block for the upright picture: no orientation, no thumbnail, no description of the old file's pixel layout.

    A block that is damaged beyond reading becomes None. The inside of maker notes is copied as it is.
    """
    if exif is None:
        return None
    try:
        file = TagFile.open(exif)
        return pack(tree_of(file, file.directory(file.first)), order=file.order)
    except UndecodableImage:
        return None


def resized(exif: bytes, *, width: int, height: int) -> bytes:
    """The block (made by `upright`) with the picture's size, where it states one, replaced."""
    file = TagFile.open(exif)
    tree = tree_of(file, file.directory(file.first))
    described = tree.children.get(0x8769, Tree()).values
    for code, pixels in zip(_PIXEL_SIZE, (width, height), strict=True):
        if code in described:
            described[code] = tags.tag_of(tags.LONG, pixels, order=file.order)
    return pack(tree, order=file.order) or exif


def upright_xmp(xmp: bytes | None, orientation: int) -> bytes | None:
    """The packet with its copy of the orientation set to 1, if the pixels were turned."""
    if xmp is None or orientation == 1:
        return xmp
    return re.sub(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))[2-8]", rb"\g<1>1", xmp)


def tree_of(file: TagFile, directory: Directory) -> Tree:
    """What is worth carrying of an image's directory (of an EXIF block or of a TIFF file) and of those it points at.

    A pointed-at directory that cannot be read is left out.
    """
    tree = Tree({code: tag for code, tag in directory.items() if code not in _STRUCTURE and code not in _POINTERS})
    for pointer in _POINTERS:
        if pointer not in directory:
            continue
        try:
            inner = file.directory(tags.integer(directory[pointer], file.order, 0))
        except UndecodableImage:
            continue  # the picture and the other directories are whole
        # Only these tags nest, so the recursion ends: a pointer cannot point at its own kind.
        nested = {code: tag for code, tag in inner.items() if code not in _POINTERS or code > pointer}
        tree.children[pointer] = tree_of(file, nested)
    return tree


def pack(tree: Tree, *, order: tags.ByteOrder) -> bytes | None:
    """The tree as a block of its own; None where it holds nothing."""
    if not tree.values and not tree.children:
        return None
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8) + pack_tree(tree, order=order, offset=8)


def pack_tree(tree: Tree, *, order: tags.ByteOrder, offset: int) -> bytes:
    """The tree's directories one after the other, to stand at `offset` (even)."""
    placeholders = {pointer: tags.tag_of(tags.LONG, 0, order=order) for pointer in tree.children}
    at = offset + tags.directory_size({**tree.values, **placeholders})
    pointers: dict[int, Tag] = {}
    children: list[bytes] = []
    for pointer, child in tree.children.items():
        pointers[pointer] = tags.tag_of(tags.LONG, at, order=order)
        children.append(pack_tree(child, order=order, offset=at))
        at += len(children[-1])
    return tags.pack_directory({**tree.values, **pointers}, order=order, offset=offset) + b"".join(children)


def without_prefix(block: bytes | None) -> bytes | None:
    """The block without the six-byte prefix that JPEG always, WebP and PNG sometimes put before it; None if empty."""
    return (block or b"").removeprefix(b"Exif\0\0") or None
