"""Small files of every kind that is read, made by other writers than ours: the cases the codecs' tests share."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]

HEIGHT, WIDTH = 14, 22


def noise(*channels: int, bits: int = 8, seed: int = 7) -> Pixels:
    """[HEIGHT, WIDTH, *channels] of every value that `bits` allow."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 1 << bits, (HEIGHT, WIDTH, *channels), dtype)


def smooth(channels: int = 3) -> Pixels:
    """uint8 [HEIGHT, WIDTH, channels] that lossy formats keep to a few levels."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    ramps = (40 + 8 * columns, 40 + 12 * rows, 220 - 5 * (rows + columns), 255 - 9 * rows)
    return np.stack(ramps[:channels], axis=-1).astype(np.uint8)


def saved(pixels: Pixels, form: str, *, mode: str | None = None, **options: object) -> bytes:
    """The file Pillow makes of an array, converted to `mode` first."""
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


def exif_block(orientation: int | None = None, *, make: str = "Lens & Sons") -> bytes:
    """A block as Pillow writes it, with the prefix that JPEG wants."""
    exif = Image.Exif()
    exif[0x010F] = make
    if orientation is not None:
        exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0xA002: WIDTH, 0xA003: HEIGHT, 0x9003: "2026:01:02 03:04:05"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 1.5)})
    return exif.tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(
    width: int, height: int, *, depth: int = 8, colour_type: int = 2, extra: bytes = b"", rows: bytes = b""
) -> bytes:
    """A PNG with any header at all; `rows` are its filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_png_chunks(png: bytes, *chunks: bytes) -> bytes:
    """The file with chunks put behind its IHDR."""
    return png[:33] + b"".join(chunks) + png[33:]


def bmp_of(pixels: Pixels, *, masks: tuple[int, int, int, int] | None, header_size: int = 108) -> bytes:
    """A 32-bit BMP of [H,W,4] B, G, R, A bytes, from the bottom up; with bit fields where there are masks."""
    height, width = pixels.shape[:2]
    head = struct.pack("<IiiHHIIiiII", header_size, width, height, 1, 32, 3 if masks else 0, 0, 2835, 2835, 0, 0)
    head += struct.pack("<4I", *(masks or (0, 0, 0, 0)))
    head = head.ljust(header_size, b"\0")
    offset = 14 + header_size
    return struct.pack("<2sIHHI", b"BM", offset + pixels.size, 0, 0, offset) + head + pixels[::-1].tobytes()


def animated(form: str, frames: int = 3, **options: object) -> bytes:
    """A file of several frames, by Pillow."""
    images = [Image.fromarray(noise(3, seed=seed)) for seed in range(frames)]
    file = io.BytesIO()
    images[0].save(file, form, save_all=True, append_images=images[1:], **options)
    return file.getvalue()


def tiff(pixels: Pixels, **options: Any) -> bytes:  # noqa: ANN401 - libtiff's own options
    """The file libtiff makes of an array."""
    return bytes(imagecodecs.tiff_encode(np.ascontiguousarray(pixels), **options))


def big_endian_tiff(pixels: Pixels) -> bytes:
    """One strip of [H,W,3] samples, most significant byte first, by hand (imagecodecs' writer does not swap them)."""
    height, width, samples = pixels.shape
    depth = 8 * pixels.itemsize
    strip = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    entries = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1 << 16), (262, 3, 1, 2 << 16),
        (273, 4, 1, 14), (277, 3, 1, samples << 16), (278, 4, 1, height), (279, 4, 1, len(strip)),
    )  # fmt: skip
    head = struct.pack(">2sHI3H", b"MM", 42, 14 + len(strip), depth, depth, depth)
    directory = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return head + strip + struct.pack(">H", len(entries)) + directory + bytes(4)


BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)

STILLS: dict[str, Callable[[], bytes]] = {
    "png-rgb": lambda: saved(noise(3), "PNG"),
    "png-rgba": lambda: saved(noise(4), "PNG"),
    "png-grey": lambda: saved(noise(), "PNG"),
    "png-grey-alpha": lambda: saved(noise(4), "PNG", mode="LA"),
    "png-1-bit": lambda: saved(noise(), "PNG", mode="1"),
    "png-palette": lambda: saved(noise(3), "PNG", mode="P"),
    "png-palette-alpha": lambda: saved(noise(3), "PNG", mode="P", transparency=bytes(range(0, 250, 10))),
    "png-colour-key": lambda: saved(noise(3), "PNG", transparency=(1, 2, 3)),
    "png-rgb-16": lambda: bytes(imagecodecs.png_encode(noise(3, bits=16))),
    "png-rgba-16": lambda: bytes(imagecodecs.png_encode(noise(4, bits=16))),
    "png-grey-16": lambda: bytes(imagecodecs.png_encode(noise(bits=16))),
    "png-metadata": lambda: saved(noise(3), "PNG", exif=exif_block(6), icc_profile=bytes(200)),
    "jpeg-rgb": lambda: saved(smooth(), "JPEG", quality=95),
    "jpeg-grey": lambda: saved(smooth()[..., 0], "JPEG"),
    "jpeg-cmyk": lambda: saved(smooth(), "JPEG", mode="CMYK"),
    "jpeg-progressive": lambda: saved(smooth(), "JPEG", progressive=True),
    "jpeg-metadata": lambda: saved(smooth(), "JPEG", exif=exif_block(6), icc_profile=bytes(200)),
    "webp-lossy": lambda: saved(smooth(), "WEBP"),
    "webp-lossless": lambda: saved(noise(3), "WEBP", lossless=True),
    "webp-alpha": lambda: saved(smooth(4), "WEBP"),
    "webp-metadata": lambda: saved(smooth(), "WEBP", exif=exif_block(6), icc_profile=bytes(200), xmp=b"<x/>"),
    "avif-rgb": lambda: saved(smooth(), "AVIF", speed=10),
    "avif-alpha": lambda: saved(smooth(4), "AVIF", speed=10),
    "avif-grey": lambda: saved(smooth()[..., 0], "AVIF", speed=10),
    "avif-10-bit": lambda: bytes(imagecodecs.avif_encode(noise(3, bits=10), level=90, speed=10, bitspersample=10)),
    "avif-metadata": lambda: saved(smooth(), "AVIF", exif=exif_block(6), icc_profile=bytes(200), speed=10),
    "tiff-rgb": lambda: tiff(noise(3)),
    "tiff-rgb-deflate": lambda: tiff(noise(3), compression="deflate", predictor=2),
    "tiff-rgba-16": lambda: tiff(noise(4, bits=16), extrasample="unassalpha"),
    "tiff-rgb-16-tiles": lambda: tiff(noise(3, bits=16), compression="lzw", tile=(16, 16)),
    "tiff-grey-16-big": lambda: tiff(noise(bits=16), bigtiff=True, byteorder=">"),
    "tiff-cmyk": lambda: saved(noise(3), "TIFF", mode="CMYK"),
    "tiff-palette": lambda: saved(noise(3), "TIFF", mode="P"),
    "tiff-1-bit": lambda: saved(noise(), "TIFF", mode="1", compression="group4"),
    "tiff-jpeg": lambda: saved(smooth(), "TIFF", mode="RGB", compression="jpeg"),
    "bmp-24": lambda: saved(noise(3), "BMP"),
    "bmp-palette": lambda: saved(noise(3), "BMP", mode="P"),
    "bmp-1-bit": lambda: saved(noise(), "BMP", mode="1"),
    "bmp-32-alpha": lambda: bmp_of(noise(4), masks=BGRA),
}
