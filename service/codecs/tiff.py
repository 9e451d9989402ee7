"""TIFF, read: its directory is checked here, then a copy with nothing but that picture's tags goes to a decoder.

Adobe, "TIFF Revision 6.0". Pillow decodes what has 8 bits, imagecodecs what has 16, which Pillow cuts to 8.
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
from service.codecs.tags import Directory, Tag, TagFile
from service.codecs.tiff_layout import Layout, layout_of
from service.errors import UnsupportedMedia

_ICC, _XMP, _DNG_VERSION, _SUB_DIRECTORIES, _ORIENTATION = 34675, 700, 50706, 330, 274
_REDUCED, _MASK = 1, 4  # flags of NewSubfileType: a smaller version or a mask of another picture, not a picture
# All that says how pixels are stored. Metadata stays behind: its tags may unpack to far more memory than the file has.
_PIXEL_TAGS = (
    *range(256, 260), 262, 266, 273, 277, 278, 279, 284, 292, 293, 317,
    320, 322, 323, 324, 325, 332, 338, 339, 347, 530, 532,
)  # fmt: skip


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
    return Container(header, orientation, Metadata(icc, block, xmp))


def decode(data: bytes, container: Container) -> Raster:
    """[H,W], [H,W,2], [H,W,3] or [H,W,4] as stored, uint8 or uint16, straight alpha, 0 = black."""
    file = TagFile.open(data)
    directory = file.directory(file.first)
    layout = layout_of(directory, file.order)
    bare = _bare(file, directory)
    if layout.bits == 8:
        return load(TiffImageFile, bare, container, what="TIFF")
    with decoding("TIFF"):
        stored: npt.NDArray[np.generic] = imagecodecs.tiff_decode(bare)
    return Raster(_straightened(stored, layout), container.metadata.icc_profile)


def _bare(file: TagFile, directory: Directory) -> bytes:
    """The file with, at its end, a new only directory that holds nothing but the pixels' tags."""
    kept = {code: _narrowed(directory[code], file.order) for code in _PIXEL_TAGS if code in directory}
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


def _straightened(stored: npt.NDArray[np.generic], layout: Layout) -> Pixels:
    """What libtiff gave as pixels: planes interleaved, white-is-zero turned over, premultiplied colour divided."""
    if layout.planar and stored.ndim == 3:
        stored = np.moveaxis(stored, 0, -1)
    wanted = (layout.height, layout.width) if layout.samples == 1 else (layout.height, layout.width, layout.samples)
    if stored.shape != wanted or stored.dtype != np.uint16:
        raise damaged("TIFF", f"its pixels are not what its tags say ({stored.dtype} {stored.shape})")
    pixels = np.ascontiguousarray(stored, np.uint16)
    if layout.white_is_zero:
        grey = pixels if pixels.ndim == 2 else pixels[..., :1]
        np.subtract(65535, grey, out=grey)
    if layout.premultiplied:
        _divide_by_alpha(pixels)
    if layout.has_alpha or pixels.ndim == 2:
        return pixels
    kept = pixels[..., : 1 if layout.grey else 3]
    return kept[..., 0] if layout.grey else kept


def _divide_by_alpha(pixels: npt.NDArray[np.uint16]) -> None:
    """Premultiplied to straight colour, in place, some rows at a time."""
    for top in range(0, pixels.shape[0], 64):
        rows = pixels[top : top + 64]
        alpha = np.maximum(rows[..., -1:], 1).astype(np.uint64)
        straight = (rows[..., :-1].astype(np.uint64) * 65535 + alpha // 2) // alpha
        rows[..., :-1] = np.minimum(straight, 65535)


def _count_pictures(file: TagFile) -> int:
    """Directories of the chain that are pictures of their own; at least the first."""
    count, offset = 0, file.first
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_COUNTED_FRAMES:
        seen.add(offset)
        kind, offset = file.glance(offset)
        count += not (kind or 0) & (_REDUCED | _MASK)
    return max(1, count)
