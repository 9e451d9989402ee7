"""TIFF, read: its directory is checked here, then a copy with nothing but that picture's tags goes to a decoder.

Adobe, "TIFF Revision 6.0". imagecodecs decodes grey and RGB (Pillow cuts 16 bits to 8), Pillow the rest.
"""

import struct

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import TiffImageFile

from service.codecs import exif, tags
from service.codecs.border import damaged, decoding
from service.codecs.image import MAX_COUNTED_FRAMES, Container, ImageHeader, Metadata, Pixels
from service.codecs.raster import Raster, load
from service.codecs.tags import LONG, Directory, Tag, TagFile
from service.codecs.tiff_layout import Layout, layout_of
from service.errors import UnsupportedMedia

_ICC, _XMP, _DNG_VERSION, _SUB_DIRECTORIES, _ORIENTATION = 34675, 700, 50706, 330, 274
_REDUCED, _MASK = 1, 4  # flags of NewSubfileType: a smaller version or a mask of another picture, not a picture
# All that says how pixels are stored. Metadata stays behind: its tags may unpack to far more memory than the file has.
_PIXEL_NUMBERS = (256, 257, 259, 262, 266, 277, 278, 284, 292, 293, 317, 322, 323, 332)
_PIXEL_LISTS = (258, 273, 279, 320, 324, 325, 338, 339, 347, 530, 532)


def inspect(data: bytes) -> Container:
    """Header and metadata of the first picture. Raises UndecodableImage, UnsupportedPixels, UnsupportedMedia (raw)."""
    file = TagFile.open(data)
    directory = file.directory(file.first)
    kind, _ = file.glance(file.first)
    if _DNG_VERSION in directory or (kind == _REDUCED and _SUB_DIRECTORIES in directory):
        raise UnsupportedMedia("The file is a camera's raw data in a TIFF frame; develop it first.")
    layout = layout_of(directory, file.order)
    orientation = tags.integer(directory.get(_ORIENTATION), file.order, 1)
    orientation = orientation if 1 <= orientation <= 8 else 1
    size = (layout.width, layout.height) if orientation < 5 else (layout.height, layout.width)
    block = exif.pack(exif.tree_of(file, directory), order=file.order)
    header = ImageHeader("tiff", *size, layout.bits, layout.has_alpha, _count_pictures(file))
    icc, xmp = (directory[code].value if code in directory else None for code in (_ICC, _XMP))
    return Container(header, orientation, Metadata(icc, block, xmp), complete=_holds_its_pixels(file, directory))


def decode(data: bytes, container: Container) -> Raster:
    """[H,W], [H,W,2], [H,W,3] or [H,W,4] as stored, uint8 or uint16, straight alpha, 0 = black."""
    file = TagFile.open(data)
    directory = file.directory(file.first)
    layout = layout_of(directory, file.order)
    bare = _bare(file, directory)
    if not layout.direct:
        return load(TiffImageFile, bare, container, what="TIFF")
    with decoding("TIFF"):
        stored: npt.NDArray[np.generic] = imagecodecs.tiff_decode(bare)
    return Raster(_straightened(stored, layout), container.metadata.icc_profile)


def _bare(file: TagFile, directory: Directory) -> bytes:
    """The file with, at its end, a new only directory that holds nothing but the pixels' tags."""
    lists = {code: _narrowed(directory[code], file.order) for code in _PIXEL_LISTS if code in directory}
    # Pillow warns of a tag with more values than it has meaning for: there is one value, and it is the first.
    numbers = {
        code: tags.tag_of(LONG, tags.integer(directory[code], file.order, 0), order=file.order)
        for code in _PIXEL_NUMBERS
        if code in directory
    }
    kept = {**lists, **numbers}
    offset = len(file.data) + len(file.data) % 2
    head = struct.pack(f"{file.order}2sHI", file.data[:2], 42, offset)
    padding = b"\0" * (offset - len(file.data))
    packed = tags.pack_directory(kept, order=file.order, offset=offset)
    return b"".join([head, memoryview(file.data)[8:], padding, packed])


def _narrowed(tag: Tag, order: tags.ByteOrder) -> Tag:
    """BigTIFF's 8-byte numbers as 4-byte ones: no file that fits a request needs more."""
    if tag.kind not in (16, 18):
        return tag
    values = tags.integers(tag, order)
    return Tag(tags.LONG, tag.count, np.minimum(values, 2**32 - 1).astype(f"{order}u4").tobytes())


def _holds_its_pixels(file: TagFile, directory: Directory) -> bool:
    """Whether every strip or tile ends inside the file; those that say no length are left to the decoder."""
    for offsets, counts in ((273, 279), (324, 325)):
        starts = tags.integers(directory.get(offsets), file.order)
        lengths = tags.integers(directory.get(counts), file.order)
        if starts.size == lengths.size and bool((starts + lengths > len(file.data)).any()):
            return False
    return True


def _straightened(stored: npt.NDArray[np.generic], layout: Layout) -> Pixels:
    """What libtiff gave as pixels: planes interleaved, white-is-zero turned over, premultiplied colour divided."""
    if layout.planar and stored.ndim == 3:
        stored = np.moveaxis(stored, 0, -1)
    wanted = (layout.height, layout.width) if layout.samples == 1 else (layout.height, layout.width, layout.samples)
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    if stored.shape != wanted or stored.dtype != dtype:
        raise damaged("TIFF", f"its pixels are not what its tags say ({stored.dtype} {stored.shape})")
    pixels: Pixels = np.ascontiguousarray(stored, dtype)
    if layout.white_is_zero:
        grey = pixels if pixels.ndim == 2 else pixels[..., :1]
        np.bitwise_not(grey, out=grey)
    if layout.premultiplied:
        _divide_by_alpha(pixels)
    if layout.has_alpha or pixels.ndim == 2:
        return pixels
    kept = pixels[..., : 1 if layout.grey else 3]
    return kept[..., 0] if layout.grey else kept


def _divide_by_alpha(pixels: Pixels) -> None:
    """Premultiplied to straight colour, in place, some rows at a time."""
    full = np.iinfo(pixels.dtype).max
    for top in range(0, pixels.shape[0], 64):
        rows = pixels[top : top + 64]
        alpha = np.maximum(rows[..., -1:], 1).astype(np.uint64)
        straight = (rows[..., :-1].astype(np.uint64) * full + alpha // 2) // alpha
        rows[..., :-1] = np.minimum(straight, full)


def _count_pictures(file: TagFile) -> int:
    """Directories of the chain that are pictures of their own; at least the first."""
    count, offset = 0, file.first
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_COUNTED_FRAMES:
        seen.add(offset)
        kind, offset = file.glance(offset)
        count += not (kind or 0) & (_REDUCED | _MASK)
    return max(1, count)
