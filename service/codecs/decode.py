"""The second step: bytes that passed the limits become upright pixels, with alpha, profile and metadata beside them."""

from collections.abc import Callable

import numpy as np

from service.codecs import avif, bmp, exif, jpeg, png, tiff, webp
from service.codecs.alpha import fill_hidden_colour
from service.codecs.border import damaged
from service.codecs.colour import describes
from service.codecs.header import inspect
from service.codecs.image import Container, DecodedImage, ImageHeader, Metadata, Pixels
from service.codecs.raster import Raster

_DECODERS: dict[str, Callable[[bytes, Container], Pixels | Raster]] = {
    "png": png.decode,
    "jpeg": jpeg.decode,
    "webp": webp.decode,
    "avif": avif.decode,
    "tiff": tiff.decode,
    "bmp": bmp.decode,
}


def decode(data: bytes, header: ImageHeader) -> DecodedImage:
    """Decode what `header`, read from the same bytes and checked against the limits, describes.

    The pixels are upright (the EXIF orientation is applied and taken out of the metadata), colour under full
    transparency is filled from its visible surroundings, palettes are expanded; CMYK, YCCK and Lab become sRGB; 1, 2
    and 4 bits become 8.
    Raises UndecodableImage for damaged and for truncated files, UnsupportedPixels for pixel kinds that are not read.
    """
    container = inspect(data)
    if container.header != header:
        raise ValueError("the header was read from other bytes than these")
    if not container.complete:
        raise damaged(header.format.upper(), "it breaks off before its end")
    decoded = _DECODERS[header.format](data, container)
    raster = decoded if isinstance(decoded, Raster) else Raster(decoded, container.metadata.icc_profile)
    colour, alpha, grey = _separated(_turned(raster.pixels, container.orientation))
    if alpha is not None:
        fill_hidden_colour(colour, alpha)
    metadata = Metadata(
        icc_profile=raster.icc_profile if describes(raster.icc_profile, grey=grey) else None,
        exif=exif.upright(container.metadata.exif),
        xmp=exif.upright_xmp(container.metadata.xmp, container.orientation),
    )
    return DecodedImage(colour, alpha, grey, metadata, header.format)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """A view of the pixels as EXIF's orientation (CIPA DC-008, 4.6.4) means them to be seen."""
    across = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return across[rows, columns]


def _separated(pixels: Pixels) -> tuple[Pixels, Pixels | None, bool]:
    """(colour [H,W,3], alpha [H,W] or None, whether it was grey), each C-contiguous and no view of more than itself."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    grey = channels < 3
    alpha = np.ascontiguousarray(pixels[..., -1]) if channels in (2, 4) else None
    if not grey:
        return np.ascontiguousarray(pixels[..., :3]), alpha, grey
    plane = pixels if pixels.ndim == 2 else pixels[..., 0]
    colour = np.empty((*plane.shape, 3), plane.dtype)
    colour[...] = plane[..., None]
    return colour, alpha, grey
