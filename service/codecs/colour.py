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
    if profile is not None and _space_of(profile) == space:
        converted = _through(profile, image)
        if converted is not None:
            return converted
    if space == "lab":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        return _through(profile, image) or image.convert("RGB")
    return image.convert("RGB")


def _through(profile: bytes, image: Image.Image) -> Image.Image | None:
    """The picture in sRGB; None where LittleCMS cannot use the profile, which is no reason to refuse the picture."""
    try:
        return ImageCms.profileToProfile(
            image,
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None


def _space_of(profile: bytes | None) -> str | None:
    if profile is None or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    return _SPACES.get(profile[16:20])
