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
from service.codecs.image import MAX_COUNTED_FRAMES, Container, DecodedImage, ImageHeader, Metadata, Pixels
from service.codecs.strips import interleaved8
from service.errors import UnsupportedPixels

MAX_OUTPUT_PIXELS = 24_000_000
"""The AV1 encoder takes 38 bytes of memory per pixel: 0.9 GB for these."""

_SPEED = 9  # 0 to 10: takes an eighth of the default's (6) time for two fifths more bytes
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # H.273, table 3
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
    if pixels.dtype == np.uint16:
        _widen(pixels, _depth(_items_and_frames(data)[0]))
    return pixels


def encode(image: DecodedImage, metadata: Metadata, *, quality: int) -> bytes:
    """8 bits, 4:4:4 (grey: 4:0:0), with or without alpha."""
    pixels = interleaved8(image, alpha=image.alpha is not None)
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
    items, frames = Items(data), 1
    for kind, span in boxes(data, (0, len(data))):
        if kind == b"meta" and not items.primary:
            items = read_items(data, span)
        elif kind == b"moov":
            frames = min(max(frames, count_samples(data, span)), MAX_COUNTED_FRAMES)
    return items, frames


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
    """8, 10 or 12: the largest bit depth that an av1C property states (its third byte: tier, high, twelve, grey...)."""
    depths = [8]
    for item in items.of_kind(b"av01"):
        for kind, reader in items.properties_of(item):
            if kind == b"av1C":
                flags = reader.take(3)[2]
                depths.append(8 if not flags & 0x40 else 12 if flags & 0x20 else 10)
    return max(depths)


def _metadata(items: Items) -> Metadata:
    """Profile, EXIF and XMP of the primary item. Raises UnsupportedPixels for high dynamic range."""
    profile: bytes | None = None
    for kind, reader in items.properties_of(items.primary):
        colour = reader.take(4) if kind == b"colr" else b""
        if colour in (b"prof", b"rICC"):
            profile = items.data[slice(*reader.rest())]
        elif colour == b"nclx":
            transfer = _HDR_TRANSFERS.get(reader.number(4) & 0xFFFF)
            if transfer:
                raise UnsupportedPixels(
                    f"The AVIF has high dynamic range ({transfer}); standard dynamic range is read."
                )
    described = {source for kind, source, targets in items.references if kind == b"cdsc" and items.primary in targets}
    blocks = {items.kinds.get(item): items.bytes_of(item) for item in described}
    # An Exif item begins with four bytes that say where behind them the TIFF header is.
    block = blocks.get(b"Exif", b"")
    block = block[4 + int.from_bytes(block[:4], "big") :]
    return Metadata(profile, exif.without_prefix(block), blocks.get(b"application/rdf+xml"))


def _widen(pixels: Pixels, bits: int) -> None:
    """Scale `bits` up to 16 in place, some rows at a time, so that full stays full: v * 65535 / (2**bits - 1)."""
    full = (1 << bits) - 1
    for top in range(0, pixels.shape[0], 64):
        rows = pixels[top : top + 64]
        rows[...] = (np.minimum(rows, full).astype(np.uint32) * 65535 + full // 2) // full
