"""JPEG: its segments are walked here; Pillow decodes (it notices truncation), libjpeg-turbo encodes from the array.

ITU-T T.81, annex B (markers); JFIF 1.02; CIPA DC-008 (EXIF in APP1); ICC.1 annex B.4 (profiles in APP2).
"""

import struct
from collections.abc import Iterator

import imagecodecs
from PIL.JpegImagePlugin import JpegImageFile

from service.codecs import exif
from service.codecs.border import damaged, encoding
from service.codecs.image import Container, DecodedImage, ImageHeader, Metadata
from service.codecs.raster import Raster, load
from service.codecs.strips import interleaved8
from service.errors import UndecodableImage, UnsupportedPixels

MAX_SIDE = 65_500
"""libjpeg's limit."""
MAX_SEGMENT_BYTES = 65_533
"""Largest body of one segment."""
EXIF_PREFIX, XMP_PREFIX, ICC_PREFIX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"

_MAX_SEGMENTS = 4_096
_MAX_SCANS = 100  # a progressive JPEG has about ten; each costs a pass over the whole picture, however few bytes it has
_SOF_READ = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; with arithmetic coding
_SOF_ALL = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOS = 0xDA
_APP1, _APP2 = 0xE1, 0xE2
_COMMENTS = {
    *range(0xE1, 0xEE),
    0xEF,
    0xFE,
}  # may stand in a file without changing its pixels; JFIF's and Adobe's segments say what the colours are


def inspect(data: bytes) -> Container:
    """Header and metadata, from the segments before the first scan. Raises UndecodableImage, UnsupportedPixels."""
    frame: tuple[int, int, int] | None = None
    blocks: list[bytes] = []
    profile: dict[int, bytes] = {}
    xmp: bytes | None = None
    complete = False
    for marker, start, end in _segments(data):
        if marker in _SOF_ALL:
            if frame:
                raise damaged("JPEG", "it has two frame headers")
            frame = _frame_header(marker, data[start:end])
        elif marker == _APP1 and data.startswith(EXIF_PREFIX, start, end):
            blocks.append(data[start + len(EXIF_PREFIX) : end])
        elif marker == _APP1 and data.startswith(XMP_PREFIX, start, end):
            xmp = data[start + len(XMP_PREFIX) : end]
        elif marker == _APP2 and data.startswith(ICC_PREFIX, start, end) and end - start > 14:
            profile[data[start + 12]] = data[start + 14 : end]
        complete = marker == _SOS
    if frame is None:
        raise damaged("JPEG", "it ends before its frame header")
    width, height, _ = frame
    block = b"".join(blocks) or None
    orientation = exif.orientation_of(block)
    size = (width, height) if orientation < 5 else (height, width)
    icc = b"".join(profile[number] for number in sorted(profile)) or None
    return Container(ImageHeader("jpeg", *size, 8, False, 1), orientation, Metadata(icc, block, xmp), complete)


def decode(data: bytes, container: Container) -> Raster:
    """[H,W] or [H,W,3] uint8 as stored; CMYK and YCCK are converted to sRGB."""
    kept = [b"\xff\xd8"]
    scan = len(data)
    for marker, start, end in _segments(data):
        if marker == _SOS:
            scan = start - 4
        elif marker not in _COMMENTS:
            kept.append(data[start - 4 : end])
    scans = data.count(b"\xff\xda", scan)
    if scans > _MAX_SCANS:
        raise UndecodableImage(
            f"The JPEG has {scans} scans; at most {_MAX_SCANS} are decoded.",
            members={"limit": _MAX_SCANS, "actual": scans},
        )
    return load(JpegImageFile, b"".join([*kept, data[scan:]]), container, what="JPEG")


def encode(image: DecodedImage, metadata: Metadata, *, quality: int) -> bytes:
    """A baseline JPEG without chroma subsampling (4:4:4): the network's work on colour edges is not thrown away."""
    with encoding("JPEG"):
        plain = imagecodecs.jpeg8_encode(interleaved8(image, alpha=False), level=quality, subsampling="444")
    after_jfif = 4 + struct.unpack_from(">H", plain, 4)[0] if plain[2:4] == b"\xff\xe0" else 2
    return b"".join([plain[:after_jfif], *_metadata_segments(metadata), memoryview(plain)[after_jfif:]])


def _metadata_segments(metadata: Metadata) -> Iterator[bytes]:
    if metadata.exif:
        yield _segment(_APP1, EXIF_PREFIX + metadata.exif)
    if metadata.xmp:
        yield _segment(_APP1, XMP_PREFIX + metadata.xmp)
    profile = metadata.icc_profile or b""
    room = MAX_SEGMENT_BYTES - len(ICC_PREFIX) - 2
    parts = [profile[at : at + room] for at in range(0, len(profile), room)]
    for number, part in enumerate(parts, 1):
        yield _segment(_APP2, ICC_PREFIX + bytes([number, len(parts)]) + part)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, offset of the body, its end) of each whole segment, up to and with the first scan's header."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        filled = at
        while data[at : at + 2] == b"\xff\xff" and at - filled < 64:
            at += 1
        if at + 4 > len(data):
            return
        fill, marker, size = struct.unpack_from(">BBH", data, at)
        if fill != 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD9 or size < 2:
            raise damaged("JPEG", f"there is no segment at byte {at}")
        if at + 2 + size > len(data):
            return
        yield marker, at + 4, at + 2 + size
        if marker == _SOS:
            return
        at += 2 + size
    raise damaged("JPEG", f"it has more than {_MAX_SEGMENTS} segments before its pixels")


def _frame_header(marker: int, body: bytes) -> tuple[int, int, int]:
    """(width, height, components), T.81 B.2.2."""
    if marker not in _SOF_READ:
        raise UnsupportedPixels("The JPEG is lossless or hierarchical; baseline and progressive ones are read.")
    if len(body) < 6:
        raise damaged("JPEG", "its frame header is cut short")
    precision, height, width, components = struct.unpack_from(">BHHB", body)
    if precision != 8:
        raise UnsupportedPixels(f"The JPEG has {precision} bits per sample; 8 are read.", members={"supported": [8]})
    if width == 0 or height == 0:
        raise damaged("JPEG", f"its header claims {width}x{height} pixels")
    if components not in (1, 3, 4):
        raise UnsupportedPixels(f"The JPEG has {components} components; 1, 3 and 4 are read.")
    return width, height, components
