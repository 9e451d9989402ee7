"""Colour profiles: kept where they describe the pixels that are written, used up where the pixels must become sRGB."""

import io

from PIL import Image, ImageCms

_SPACES = {b"GRAY": "grey", b"RGB ": "rgb", b"CMYK": "cmyk", b"Lab ": "lab"}
_MODE_SPACES = {"CMYK": "cmyk", "LAB": "lab", "YCbCr": "rgb", "L": "grey", "RGB": "rgb"}


def describes(profile: bytes | None, *, grey: bool) -> bool:
    """Whether `profile` is an ICC profile (ICC.1:2022, 7.2) of grey pixels, or of RGB ones."""
    return _space_of(profile) == ("grey" if grey else "rgb")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK, YCbCr, LAB or L picture as RGB in sRGB.

    Through `profile` where it is one of the picture's colour space that LittleCMS can use; Lab has a definition without
    one; else by Pillow's plain formulas (CMYK without a profile has no defined colours at all).
    """
    space = _MODE_SPACES[image.mode]
    if space == "rgb":  # YCbCr is a coding of RGB, and a profile would describe that RGB
        return image.convert("RGB")
    source = _open(profile) if _space_of(profile) == space else None
    if source is None and space == "lab":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    if source is None:
        return image.convert("RGB")
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # it is None only when asked to work in place
    return converted


def _space_of(profile: bytes | None) -> str | None:
    if profile is None or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    return _SPACES.get(profile[16:20])


def _open(profile: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The profile for LittleCMS; None where it finds it unusable, which is no reason to refuse the picture."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    except (OSError, ValueError, TypeError):
        return None
