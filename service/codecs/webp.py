"""WebP: its RIFF chunks are walked here, its pixels decoded and encoded by libwebp straight from and to arrays.

Google, "WebP Container Specification"; RFC 6386 (VP8) 9.1 and the lossless specification, section 3, for the sizes.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from service.codecs import exif
from service.codecs.border import damaged, decoding
from service.codecs.colour import to_srgb
from service.codecs.image import MAX_COUNTED_FRAMES, Container, DecodedImage, ImageHeader, Metadata, Pixels
from service.codecs.raster import array_of
from service.codecs.strips import interleaved8
from service.errors import OutputTooLarge

MAX_SIDE = 16_383
"""The bitstream has 14 bits for a side."""
LOSSLESS_QUALITY = 100
MAX_LOSSLESS_PIXELS = 40_000_000
"""Lossless coding, which an alpha gets at any quality, takes up to 22 bytes of memory per pixel: 0.9 GB for these."""

_MAX_CHUNKS = 4 * MAX_COUNTED_FRAMES
_ANIMATION, _XMP, _EXIF, _ALPHA, _ICC = 0x02, 0x04, 0x08, 0x10, 0x20  # flags of the VP8X chunk
_IMAGE_CHUNKS = (b"VP8 ", b"VP8L", b"ALPH")
# libwebp's effort, 0 to 6. Lossy: 2 takes a third of the default's (4) time for a fifth more bytes; 0 fails on 96 MP
# (the format has room for 512 KiB of block modes). Lossless: 0 takes 1/18 of the default's for a third more bytes.
_LOSSY_METHOD, _LOSSLESS_METHOD = 2, 0


def inspect(data: bytes) -> Container:
    """Header and metadata, from the chunks. Raises UndecodableImage."""
    size: tuple[int, int] | None = None
    flags = frames = 0
    kept: dict[bytes, bytes] = {}
    complete = False
    for kind, start, end in _chunks(data):
        if size is None:
            size, flags = _first_chunk(kind, data[start : min(start + 16, end)])
        if kind in (b"ICCP", b"EXIF", b"XMP ") and kind not in kept:
            kept[kind] = data[start:end]
        frames += kind == b"ANMF"
        complete |= kind in (b"VP8 ", b"VP8L", b"ANMF") and end <= len(data)
    if size is None:
        raise damaged("WebP", "it ends before its first chunk")
    block = exif.without_prefix(kept.get(b"EXIF"))
    orientation = exif.orientation_of(block)
    upright = size if orientation < 5 else size[::-1]
    header = ImageHeader("webp", *upright, 8, bool(flags & _ALPHA), max(1, frames) if flags & _ANIMATION else 1)
    return Container(header, orientation, Metadata(kept.get(b"ICCP"), block, kept.get(b"XMP ")), complete)


def decode(data: bytes, container: Container) -> Pixels:
    """[H,W,3] or [H,W,4] uint8 as stored."""
    alpha = container.header.has_alpha
    out = np.empty((*container.stored_size, 4 if alpha else 3), np.uint8)
    with decoding("WebP"):
        imagecodecs.webp_decode(data, hasalpha=alpha, out=out)
    return out


def encode(image: DecodedImage, metadata: Metadata, *, quality: int) -> bytes:
    """Lossy, or lossless at quality 100. WebP has no grey pixels: a grey profile's tones are converted to sRGB."""
    pixels = interleaved8(image, alpha=not image.opaque)
    if image.grey:
        pixels, metadata = _coloured(pixels, metadata.icc_profile), replace(metadata, icc_profile=None)
    try:
        if quality == LOSSLESS_QUALITY:
            plain = imagecodecs.webp_encode(pixels, level=0, lossless=True, method=_LOSSLESS_METHOD)
        else:
            plain = imagecodecs.webp_encode(pixels, level=quality, lossless=False, method=_LOSSY_METHOD)
    except imagecodecs.WebpError as error:
        # A fixed size in the format (512 KiB for all block modes) that only the encoder can tell to be too small.
        raise OutputTooLarge("WebP has no room for this picture's detail; png, jpeg and tiff have.") from error
    height, width, channels = pixels.shape
    return _with_metadata(bytes(plain), metadata, width=width, height=height, alpha=channels == 4)


def _coloured(pixels: npt.NDArray[np.uint8], profile: bytes | None) -> npt.NDArray[np.uint8]:
    """Grey pixels [H,W], or [H,W,4] of equal channels and alpha, as sRGB: [H,W,3] or [H,W,4]."""
    grey = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0])
    rgb = array_of(to_srgb(Image.fromarray(grey), profile))
    if pixels.ndim == 2:
        return rgb
    pixels[..., :3] = rgb
    return pixels


def _with_metadata(plain: bytes, metadata: Metadata, *, width: int, height: int, alpha: bool) -> bytes:
    """The file that libwebp made, with the chunks of metadata around its image, in the specification's order."""
    parts = ((_ICC, metadata.icc_profile), (_EXIF, metadata.exif), (_XMP, metadata.xmp))
    flags = sum(flag for flag, part in parts if part)
    if not flags:
        return plain
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [_chunk(b"VP8X", bytes([flags | _ALPHA * alpha, 0, 0, 0]) + sides)]
    if metadata.icc_profile:
        chunks.append(_chunk(b"ICCP", metadata.icc_profile))
    chunks += [_chunk(kind, plain[start:end]) for kind, start, end in _chunks(plain) if kind in _IMAGE_CHUNKS]
    if metadata.exif:
        chunks.append(_chunk(b"EXIF", metadata.exif))
    if metadata.xmp:
        chunks.append(_chunk(b"XMP ", metadata.xmp))
    return b"".join([b"RIFF", struct.pack("<I", 4 + sum(map(len, chunks))), b"WEBP", *chunks])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, offset of the body, its end) of each chunk; the last one's end may lie behind the data's."""
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, at + 8 + size
        at += 8 + size + size % 2
    raise damaged("WebP", f"it has more than {_MAX_CHUNKS} chunks")


def _first_chunk(kind: bytes, body: bytes) -> tuple[tuple[int, int], int]:
    """((width, height), VP8X flags or those that a plain file amounts to), from the chunk that must come first."""
    if kind == b"VP8X" and len(body) >= 10:
        width, height = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
        return (width, height), body[0]
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), _ALPHA * (bits >> 28 & 1)
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        if width and height:
            return (width, height), 0
    raise damaged("WebP", "its first chunk is not an image header")
