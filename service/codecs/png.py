"""PNG: its chunks are walked here, its pixels decoded by libpng (Pillow cuts 16-bit colour to 8) and written in strips.

W3C, "Portable Network Graphics (PNG) Specification", third edition; the section is given where a rule comes from one.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
from zlib_ng import zlib_ng

from service.codecs import exif, png_filters
from service.codecs.border import damaged, decoding, inflate
from service.codecs.image import HDR_TRANSFERS, Container, DecodedImage, ImageHeader, Metadata, Pixels
from service.codecs.strips import channels_of, strips
from service.errors import UnsupportedPixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MAX_CHUNKS = 100_000  # an encoder that cuts 32 MiB into chunks of 8 KiB makes 4,096
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; a palette (3) is decoded to colours
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # table 8
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_XMP_KEYWORD = b"XML:com.adobe.xmp"

# Measured by benchmarks/png.py, against Pillow's default: the filter Up with zlib-ng's level 3 takes a tenth of the
# time and makes 1.11 times the bytes; zlib's level 1, a ninth and 1.21 times; Pillow's own level 1, a fifth and 1.13.
_LEVEL = 3
_SMALL_LEVEL = 9


def inspect(data: bytes) -> Container:
    """Header and metadata, from the chunks; nothing is unpacked but ICC and XMP, bounded.

    Raises UndecodableImage; UnsupportedPixels for high dynamic range.
    """
    width, height, depth, colour_type = _image_header(data)
    found: dict[bytes, bytes] = {}
    frames, complete, seen_pixels = 1, False, False
    for kind, start, size in _chunks(data):
        seen_pixels |= kind == b"IDAT"
        complete = kind == b"IEND"
        if kind == b"acTL" and not seen_pixels and size >= 8:
            frames = max(1, int.from_bytes(data[start : start + 4], "big"))
        elif kind == b"cICP" and size >= 2 and data[start + 1] in HDR_TRANSFERS:
            name = HDR_TRANSFERS[data[start + 1]]
            raise UnsupportedPixels(f"The PNG has high dynamic range ({name}); standard dynamic range is read.")
        elif kind == b"iTXt" and data.startswith(_XMP_KEYWORD + b"\0", start):
            found[kind] = data[start : start + size]
        elif kind in (b"iCCP", b"eXIf", b"tRNS"):
            found.setdefault(kind, data[start : start + size])
    block = exif.without_prefix(found.get(b"eXIf"))
    orientation = exif.orientation_of(block)
    size_upright = (width, height) if orientation < 5 else (height, width)
    has_alpha = colour_type in (4, 6) or b"tRNS" in found
    return Container(
        ImageHeader("png", *size_upright, 16 if depth == 16 else 8, has_alpha, frames),
        orientation,
        Metadata(_icc_profile(found.get(b"iCCP")), block, _xmp(found.get(b"iTXt"))),
        complete=complete and seen_pixels,
    )


def decode(data: bytes, container: Container) -> Pixels:
    """[H,W], [H,W,2], [H,W,3] or [H,W,4] as stored, uint8 or uint16; palettes and tRNS expanded, 1 to 4 bits made 8."""
    colour_type = data[25]
    channels = _SAMPLES[colour_type] + (container.header.has_alpha and colour_type < 4)
    shape = container.stored_size if channels == 1 else (*container.stored_size, channels)
    out = np.empty(shape, np.uint16 if container.header.bits == 16 else np.uint8)
    # Only the chunks that make the pixels: whatever an ancillary chunk might unpack to never reaches libpng.
    kept = [data[start - 8 : start + size + 4] for kind, start, size in _chunks(data) if kind in _PIXEL_CHUNKS]
    with decoding("PNG"):
        imagecodecs.png_decode(SIGNATURE + b"".join(kept), out=out)
    return out


def encode(image: DecodedImage, metadata: Metadata, *, small: bool = False) -> bytes:
    """A PNG of 8 or 16 bits, grey or colour, with or without alpha, as `image` is; `small` takes its time."""
    height, width = image.colour.shape[:2]
    colour_type = (0 if image.grey else 2) + (4 if image.alpha is not None else 0)
    file = io.BytesIO()
    file.write(SIGNATURE)
    _write(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * image.colour.itemsize, colour_type, 0, 0, 0))
    if metadata.icc_profile:
        _write(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.exif:
        _write(file, b"eXIf", metadata.exif)
    if metadata.xmp:
        _write(file, b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp)
    for packed in _packed_rows(image, small=small):
        _write(file, b"IDAT", packed)
    _write(file, b"IEND", b"")
    return file.getvalue()


def _packed_rows(image: DecodedImage, *, small: bool) -> Iterator[bytes]:
    """The rows filtered and deflated, in pieces."""
    pixel_bytes = channels_of(image) * image.colour.itemsize
    row_bytes = image.colour.shape[1] * pixel_bytes
    above = np.zeros(row_bytes, np.uint8)
    deflater = zlib_ng.compressobj(_SMALL_LEVEL, strategy=zlib_ng.Z_FILTERED) if small else zlib_ng.compressobj(_LEVEL)
    for strip in strips(image, ">u2" if image.colour.itemsize == 2 else "u1"):
        rows = strip.view(np.uint8).reshape(len(strip), row_bytes)
        filtered = png_filters.least(rows, above, pixel_bytes=pixel_bytes) if small else png_filters.up(rows, above)
        above = rows[-1].copy()
        if packed := deflater.compress(filtered.data):
            yield packed
    yield deflater.flush()


def _write(file: io.BytesIO, kind: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + kind)
    file.write(body)
    file.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))


def _image_header(data: bytes) -> tuple[int, int, int, int]:
    """(width, height, bit depth, colour type), section 11.2.1, from where the first chunk must be."""
    if len(data) < 33 or data[8:16] != b"\0\0\0\x0dIHDR":
        raise damaged("PNG", "it does not begin with an IHDR chunk")
    width, height, depth, colour_type, *methods = struct.unpack_from(">IIBBBBB", data, 16)
    if width == 0 or height == 0 or max(width, height) >= 1 << 31:
        raise damaged("PNG", f"its header claims {width}x{height} pixels")
    if depth not in _DEPTHS.get(colour_type, ()) or methods[:2] != [0, 0] or methods[2] > 1:
        raise damaged("PNG", f"its header names a pixel layout that does not exist (type {colour_type}, {depth} bits)")
    return width, height, depth, colour_type


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, offset of the body, its size) of each whole chunk up to and with IEND."""
    at = len(SIGNATURE)
    for index in range(_MAX_CHUNKS):
        size, kind = struct.unpack_from(">I4s", data, at) if at + 12 <= len(data) else (0, b"")
        if not kind or at + 12 + size > len(data):
            return
        if kind == b"IHDR" and index:
            raise damaged("PNG", "it has a second IHDR chunk")
        yield kind, at + 8, size
        if kind == b"IEND":
            return
        at += 12 + size
    raise damaged("PNG", f"it has more than {_MAX_CHUNKS} chunks")


def _icc_profile(chunk: bytes | None) -> bytes | None:
    """The profile of an iCCP chunk (section 11.3.2.3): name, zero, method 0, zlib stream."""
    _, found, packed = (chunk or b"").partition(b"\0")
    return inflate(packed[1:], what="ICC profile") if found and packed[:1] == b"\0" else None


def _xmp(chunk: bytes | None) -> bytes | None:
    """The text of an iTXt chunk (11.3.3.4): keyword, 0, whether compressed, method, language, 0, keyword, 0, text."""
    if chunk is None or len(chunk) < len(_XMP_KEYWORD) + 3:
        return None
    body = chunk[len(_XMP_KEYWORD) + 1 :]
    parts = body[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    return inflate(parts[2], what="XMP packet") if body[0] else parts[2]
