"""How a TIFF's pixels lie, as far as they are read here: the rest is refused by name before any decoder sees it."""

from dataclasses import dataclass

import numpy as np

from service.codecs import tags
from service.codecs.border import damaged
from service.codecs.tags import ByteOrder, Directory
from service.errors import UnsupportedPixels

_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001}
"""None, three kinds of fax, LZW, JPEG, Deflate (two numbers), PackBits, LZMA, Zstandard, WebP."""
_MAX_PARTS = 1 << 18  # strips or tiles; one per row of 65,536 rows in four planes
_MAX_TILE_PIXELS = 1 << 24  # a tile is decoded whole, however small the picture is
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_SAMPLES = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}
_SAMPLE_FORMATS = {2: "signed integers", 3: "floating point", 5: "complex integers", 6: "complex numbers"}
_PREMULTIPLIED, _STRAIGHT = 1, 2  # values of ExtraSamples


@dataclass(frozen=True)
class Layout:
    """One picture's pixels as stored."""

    width: int
    height: int
    bits: int
    """8 or 16, the depth they are decoded to."""
    samples: int
    grey: bool
    white_is_zero: bool
    planar: bool
    has_alpha: bool
    premultiplied: bool
    direct: bool
    """Grey or RGB samples of 8 or 16 bits: pixels as they are wanted, not codes for them."""


def layout_of(directory: Directory, order: ByteOrder) -> Layout:
    """Read it off the tags. Raises UndecodableImage for nonsense, UnsupportedPixels for what is not read here."""

    def number(code: int, default: int) -> int:
        return tags.integer(directory.get(code), order, default)

    width, height = number(256, 0), number(257, 0)
    if width <= 0 or height <= 0:
        raise damaged("TIFF", f"its tags claim {width}x{height} pixels")
    _check_storage(directory, order)
    photometric, samples = number(262, -1), number(277, 1)
    bits = _bits(directory, order, samples)
    extras = tags.integers(directory.get(338), order)
    _check_samples(photometric, samples, bits)
    grey = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    alpha = int(extras[0]) if extras.size and samples > _SAMPLES[photometric] else 0
    return Layout(
        width,
        height,
        bits=16 if bits == 16 and photometric != _CMYK else 8,
        samples=samples,
        grey=grey,
        white_is_zero=photometric == _WHITE_IS_ZERO,
        planar=number(284, 1) == 2 and samples > 1,
        has_alpha=alpha in (_PREMULTIPLIED, _STRAIGHT),
        premultiplied=alpha == _PREMULTIPLIED,
        direct=bits >= 8 and (grey or photometric == _RGB),
    )


def _bits(directory: Directory, order: ByteOrder, samples: int) -> int:
    """Bits of every sample, which must be unsigned integers of one width."""
    kinds = set(tags.integers(directory.get(339), order).tolist()) - {1, 4}
    widths = set(tags.integers(directory.get(258), order)[:samples].tolist()) or {1}
    for kind in kinds:
        name = _SAMPLE_FORMATS.get(kind, f"of sample format {kind}")
        raise UnsupportedPixels(
            f"The TIFF's pixels are {max(widths)}-bit {name}; unsigned 8- and 16-bit integers are read."
        )
    if len(widths) > 1 or not widths <= {1, 2, 4, 8, 16}:
        named = ", ".join(map(str, sorted(widths)))
        raise UnsupportedPixels(f"The TIFF's pixels have {named} bits per sample; 1, 2, 4, 8 or 16 are read.")
    return int(widths.pop())


def _check_samples(photometric: int, samples: int, bits: int) -> None:
    if photometric not in _SAMPLES:
        raise UnsupportedPixels(
            f"The TIFF's colours are of kind {photometric}; grey, RGB, palette, CMYK, YCbCr and Lab are read."
        )
    colours = _SAMPLES[photometric]
    room_for_extra = 1 if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) else 0
    if not colours <= samples <= colours + room_for_extra:
        raise UnsupportedPixels(f"The TIFF has {samples} samples per pixel; {colours} of this kind of colour are read.")
    too_few = bits < 8 and (colours > 1 or samples > 1)
    too_many = bits == 16 and photometric in (_PALETTE, _YCBCR, _LAB)
    if too_few or too_many:
        raise UnsupportedPixels(
            f"The TIFF has {bits} bits per sample, which is not read for its kind of colour ({photometric})."
        )


def _check_storage(directory: Directory, order: ByteOrder) -> None:
    compression = tags.integer(directory.get(259), order, 1)
    if compression not in _COMPRESSIONS:
        raise UnsupportedPixels(
            f"The TIFF's compression {compression} is not read.", members={"supported": sorted(_COMPRESSIONS)}
        )
    offsets = directory.get(273) or directory.get(324)
    if offsets is None or offsets.count > _MAX_PARTS:
        raise damaged("TIFF", "it has no strips or tiles, or too many")
    tile = np.array([tags.integer(directory.get(code), order, 0) for code in (322, 323)])
    if tile.max() > 1 << 16 or tile.prod() > _MAX_TILE_PIXELS:
        raise damaged("TIFF", f"its tiles measure {tile[0]}x{tile[1]} pixels")
