"""BMP: its header is read here, its pixels by Pillow.

Microsoft, "Bitmap Header Types" (BITMAPCOREHEADER, BITMAPINFOHEADER, BITMAPV4HEADER, BITMAPV5HEADER).
"""

import struct

from PIL.BmpImagePlugin import BmpImageFile

from service.codecs.border import damaged
from service.codecs.image import Container, ImageHeader, Metadata
from service.codecs.raster import Raster, load

_CORE_HEADER = 12
_V5_HEADER = 124
_BIT_FIELDS = 3
_PROFILE_EMBEDDED = b"DEBM"  # 'MBED' as a little-endian number


def inspect(data: bytes) -> Container:
    """Header, and the profile of a version 5 file. Raises UndecodableImage."""
    header_size = int.from_bytes(data[14:18], "little")
    if len(data) < 14 + header_size:
        raise damaged("BMP", "its header is cut short")
    if header_size == _CORE_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
        compression = alpha_mask = 0
    else:
        width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
        height = abs(height)  # negative: the rows run from the top
        alpha_mask = struct.unpack_from("<I", data, 66)[0] if header_size >= 56 else 0
    if width <= 0 or height == 0:
        raise damaged("BMP", f"its header claims {width}x{height} pixels")
    has_alpha = compression == _BIT_FIELDS and alpha_mask != 0
    profile = _icc_profile(data) if header_size == _V5_HEADER else None
    return Container(ImageHeader("bmp", width, height, 8, has_alpha, 1), metadata=Metadata(icc_profile=profile))


def decode(data: bytes, container: Container) -> Raster:
    """[H,W], [H,W,3] or [H,W,4] uint8, top row first.

    The fourth byte of a plain 32-bit file is padding. An alpha that bit fields declare but that is zero everywhere is
    what writers leave that never set it: such a picture is opaque, as browsers show it.
    """
    raster = load(BmpImageFile, data, container, what="BMP")
    pixels = raster.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 4 and not pixels[..., 3].any():
        return Raster(pixels[..., :3], raster.icc_profile)
    return raster


def _icc_profile(data: bytes) -> bytes | None:
    kind = data[14 + 56 : 14 + 60]
    offset, size = struct.unpack_from("<II", data, 14 + 112)
    return data[14 + offset : 14 + offset + size] or None if kind == _PROFILE_EMBEDDED else None
