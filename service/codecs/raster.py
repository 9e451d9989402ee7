"""Pillow's part: one named decoder is run (never its search through all of them) and its many modes become four."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from service.codecs.border import damaged, decoding
from service.codecs.colour import to_srgb
from service.codecs.image import Container, Pixels
from service.errors import UnsupportedPixels

_KEPT = {"L", "LA", "RGB", "RGBA"}
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "La": "LA", "RGBa": "RGBA"}
_FOREIGN = {"CMYK", "YCbCr", "LAB"}  # colour spaces that no output format is written in


@dataclass(frozen=True)
class Raster:
    """Pixels as stored (before orientation) and the profile that describes them now."""

    pixels: Pixels
    """[H,W] grey, [H,W,2] grey and alpha, [H,W,3] or [H,W,4]."""
    icc_profile: bytes | None


def load(decoder: type[ImageFile.ImageFile], data: bytes, container: Container, *, what: str) -> Raster:
    """Decode `data` by one of Pillow's decoder classes, called directly.

    That skips `Image.open`: its process-wide pixel limit (the header was checked against ours) and its guesses.
    Raises UndecodableImage where the decoder fails or finds another size than the header's, UnsupportedPixels.
    """
    with decoding(what):
        image: Image.Image = decoder(io.BytesIO(data))
        if image.size == container.stored_size[::-1]:
            image.load()
    if image.size != container.stored_size[::-1]:
        raise damaged(what, f"its header and its pixels disagree about the size ({image.width}x{image.height})")
    profile = container.metadata.icc_profile
    with decoding(what):
        if image.mode in _FOREIGN:
            image, profile = to_srgb(image, profile), None
        elif image.mode in _CONVERTED:
            image = image.convert(
                "RGBA" if image.mode == "P" and image.has_transparency_data else _CONVERTED[image.mode]
            )
    if image.mode not in _KEPT:
        raise UnsupportedPixels(
            f"The {what} has pixels of Pillow's mode {image.mode}; 8- and 16-bit grey and colour are read."
        )
    return Raster(array_of(image), profile)


def array_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The pixels of an L, LA, RGB or RGBA image, copied some rows at a time: np.asarray would hold them three times."""
    bands = len(image.getbands())
    out = np.empty((image.height, image.width, bands), np.uint8)
    for top in range(0, image.height, 64):
        bottom = min(top + 64, image.height)
        rows = image.crop((0, top, image.width, bottom))
        out[top:bottom] = np.asarray(rows).reshape(bottom - top, image.width, bands)
    return out[..., 0] if bands == 1 else out
