"""AVIF: its items are measured here, its pixels decoded by libavif at their own depth, and written by Pillow.

The AV1 Image File Format 1.1; ISO/IEC 23008-12, 6.5 (properties) and A.2.1 (EXIF); ITU-T H.273 (colour).
"""

import io

import imagecodecs
import numpy as np
from PIL import Image

from service.codecs import exif
from service.codecs.avif_items import Items, check_streams, count_samples, read_items
from service.codecs.border import damaged, decoding, encoding
from service.codecs.boxes import boxes
from service.codecs.image import (
    HDR_TRANSFERS,
    MAX_COUNTED_FRAMES,
    Container,
    DecodedImage,
    ImageHeader,
    Metadata,
    Pixels,
)
from service.codecs.strips import interleaved8
from service.errors import UnsupportedPixels

MAX_OUTPUT_PIXELS = 24_000_000
"""The AV1 encoder takes 38 to 42 bytes of memory per pixel: up to 1.0 GB for these."""

_SPEED = 9  # 0 to 10: takes an eighth of the default's (6) time for two fifths more bytes
# (quarter turns against the clock, mirrored: None, 0 top to bottom, 1 left to right) -> EXIF's orientation
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def inspect(data: bytes) -> Container:
    """Header and metadata of the primary item. Raises UndecodableImage; UnsupportedPixels for high dynamic range."""
    items, frames = _items_and_frames(data)
    width, height, orientation = _geometry(items)
    check_streams(items, pixels=width * height)
    has_alpha = any(kind == b"auxl" and items.primary in targets for kind, _, targets in items.references)
    size = (width, height) if orientation < 5 else (height, width)
    header = ImageHeader("avif", *size, 8 if _depth(items) == 8 else 16, has_alpha, frames)
    return Container(header, orientation, _metadata(items), complete=items.complete())


def decode(data: bytes, container: Container) -> Pixels:
    """[H,W], [H,W,2], [H,W,3] or [H,W,4] as stored: uint8, or uint16 scaled up from 10 or 12 bits."""
    # Under the brand of image sequences libavif would decode a track in place of the picture that was measured.
    with decoding("AVIF"):
        pixels = imagecodecs.avif_decode(data[:8] + b"avif" + data[12:], index=0, numthreads=1)
    wanted = np.uint8 if container.header.bits == 8 else np.uint16
    if pixels.shape[:2] != container.stored_size or pixels.ndim > 3 or pixels.dtype != wanted:
        raise damaged("AVIF", f"its pixels are not what its header says ({pixels.dtype} {pixels.shape})")
    items, _ = _items_and_frames(data)
    if pixels.dtype == np.uint16:
        _widen(pixels, _depth(items))
    return pixels[..., 2:] if pixels.ndim == 3 and pixels.shape[2] == 4 and _is_grey(items) else pixels


def encode(image: DecodedImage, metadata: Metadata, *, quality: int) -> bytes:
    """8 bits, 4:4:4 (grey: 4:0:0), with alpha where it is not full everywhere."""
    pixels = interleaved8(image, alpha=not image.opaque)
    file = io.BytesIO()
    with encoding("AVIF"):
        Image.fromarray(pixels).save(
            file,
            "AVIF",
            quality=quality,
            speed=_SPEED,
            subsampling="4:0:0" if pixels.ndim == 2 else "4:4:4",
            icc_profile=metadata.icc_profile or b"",
            exif=metadata.exif or b"",
            xmp=metadata.xmp or b"",
        )
    return file.getvalue()


def _items_and_frames(data: bytes) -> tuple[Items, int]:
    top = dict(boxes(data, (0, len(data))))
    items = read_items(data, top[b"meta"]) if b"meta" in top else Items(data)
    samples = count_samples(data, top[b"moov"]) if b"moov" in top else 1
    return items, min(max(1, samples), MAX_COUNTED_FRAMES)


def _geometry(items: Items) -> tuple[int, int, int]:
    """(width, height, orientation as EXIF numbers it) of the primary item as stored."""
    width = height = turns = 0
    mirrored: int | None = None
    for kind, reader in items.properties_of(items.primary):
        if kind == b"ispe":
            reader.take(4)
            width, height = reader.number(4), reader.number(4)
        elif kind == b"irot":
            turns = reader.number(1) & 3
        elif kind == b"imir":
            mirrored = reader.number(1) & 1
    if not width or not height:
        raise damaged("AVIF", f"its primary picture measures {width}x{height} pixels")
    return width, height, _ORIENTATIONS[turns, mirrored]


def _depth(items: Items) -> int:
    """8, 10 or 12: the largest bit depth of any coded item."""
    flags = [_coding(items, item) for item in items.of_kind(b"av01")]
    return max((8 if not flag & 0x40 else 12 if flag & 0x20 else 10 for flag in flags), default=8)


def _is_grey(items: Items) -> bool:
    return all(_coding(items, item) & 0x10 for item in items.of_kind(b"av01"))


def _coding(items: Items, item: int) -> int:
    """The third byte of an item's av1C property, whose bits are: tier, more than 8, 12, monochrome, subsampling."""
    readers = [reader for kind, reader in items.properties_of(item) if kind == b"av1C"]
    return readers[0].take(3)[2] if readers else 0


def _metadata(items: Items) -> Metadata:
    """Profile, EXIF and XMP of the primary item. Raises UnsupportedPixels for high dynamic range."""
    profile: bytes | None = None
    for kind, reader in items.properties_of(items.primary):
        colour = reader.take(4) if kind == b"colr" else b""
        if colour in (b"prof", b"rICC"):
            profile = items.data[slice(*reader.rest())]
        elif colour == b"nclx":
            transfer = HDR_TRANSFERS.get(reader.number(4) & 0xFFFF)
            if transfer:
                raise UnsupportedPixels(
                    f"The AVIF has high dynamic range ({transfer}); standard dynamic range is read."
                )
    block = bytes(_described_by(items, b"Exif"))
    # An Exif item begins with four bytes that say where behind them the TIFF header is.
    block = block[4 + int.from_bytes(block[:4], "big") :]
    xmp = bytes(_described_by(items, b"application/rdf+xml"))
    return Metadata(profile, exif.without_prefix(block), xmp or None)


def _described_by(items: Items, wanted: bytes) -> memoryview:
    """The data of the first item of the type `wanted` that describes the primary one; empty where there is none."""
    for kind, source, targets in items.references:
        if kind == b"cdsc" and items.primary in targets and items.kinds.get(source) == wanted:
            return items.bytes_of(source)
    return memoryview(b"")


def _widen(pixels: Pixels, bits: int) -> None:
    """Scale `bits` up to 16 in place, some rows at a time, so that full stays full: v * 65535 / (2**bits - 1)."""
    full = (1 << bits) - 1
    for top in range(0, pixels.shape[0], 64):
        rows = pixels[top : top + 64]
        rows[...] = (np.minimum(rows, full).astype(np.uint32) * 65535 + full // 2) // full
