"""TIFF, written: strips of Deflate with the horizontal predictor, 8 or 16 bits, with profile, EXIF and XMP.

Adobe, "TIFF Revision 6.0", sections 8 and 14; Technical Note 2 (Deflate). Written here because a file must carry EXIF's
directories inside its own, and because a library would need the whole picture interleaved and compressed beside it.
"""

import struct
import zlib

import numpy as np

from service.codecs import exif, tags
from service.codecs.exif import Tree
from service.codecs.image import DecodedImage, Metadata
from service.codecs.strips import channels_of, rows_per_strip, strips
from service.codecs.tags import LONG, SHORT, UNDEFINED, ByteOrder, Directory, Tag, TagFile

_LEVEL = 1  # as for PNG: most of the gain for a fraction of the time
_DEFLATE, _HORIZONTAL_PREDICTOR, _STRAIGHT_ALPHA = 8, 2, 2


def encode(image: DecodedImage, metadata: Metadata) -> bytes:
    """A TIFF of 8 or 16 bits, grey or colour, with or without (straight) alpha, as `image` is."""
    order: ByteOrder = "<"
    tree = Tree()
    if metadata.exif:
        block = TagFile.open(metadata.exif)
        order, tree = block.order, exif.tree_of(block, block.directory(block.first))
    packed = _packed_strips(image, order)
    at = 8
    offsets = []
    for strip in packed:
        offsets.append(at)
        at += len(strip)
    padding = b"\0" * (at % 2)
    at += len(padding)
    counts = [len(strip) for strip in packed]
    values = {**tree.values, **_picture_tags(image, offsets, counts, order), **_block_tags(metadata)}
    directory = exif.pack_tree(Tree(values, tree.children), order=order, offset=at)
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, at)
    return b"".join([head, *packed, padding, directory])


def _packed_strips(image: DecodedImage, order: ByteOrder) -> list[bytes]:
    packed = []
    for strip in strips(image, np.dtype(image.colour.dtype)):
        strip[:, 1:] -= strip[:, :-1].copy()  # the predictor: each sample's difference to the one on its left
        packed.append(zlib.compress(strip.astype(strip.dtype.newbyteorder(order), copy=False).data, _LEVEL))
    return packed


def _picture_tags(image: DecodedImage, offsets: list[int], counts: list[int], order: ByteOrder) -> Directory:
    height, width = image.colour.shape[:2]
    channels = channels_of(image)

    def short(*values: int) -> Tag:
        return tags.tag_of(SHORT, *values, order=order)

    def long(*values: int) -> Tag:
        return tags.tag_of(LONG, *values, order=order)

    picture = {
        256: long(width),
        257: long(height),
        258: short(*[8 * image.colour.itemsize] * channels),
        259: short(_DEFLATE),
        262: short(1 if image.grey else 2),  # black is zero; RGB
        273: long(*offsets),
        277: short(channels),
        278: long(rows_per_strip(image)),
        279: long(*counts),
        284: short(1),  # samples interleaved
        317: short(_HORIZONTAL_PREDICTOR),
    }
    if image.alpha is not None:
        picture[338] = short(_STRAIGHT_ALPHA)
    return picture


def _block_tags(metadata: Metadata) -> Directory:
    blocks: Directory = {}
    if metadata.xmp:
        blocks[700] = Tag(1, len(metadata.xmp), metadata.xmp)
    if metadata.icc_profile:
        blocks[34675] = Tag(UNDEFINED, len(metadata.icc_profile), metadata.icc_profile)
    return blocks
