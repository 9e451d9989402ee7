"""The first step: what an image is and how large, from its header alone, and whether that may be decoded."""

from service.codecs import avif, bmp, jpeg, png, tiff, webp
from service.codecs.formats import sniff
from service.codecs.image import Container, ImageHeader, ImageLimits
from service.errors import AnimatedImage, TooManyPixels

_INSPECTORS = {
    "png": png.inspect,
    "jpeg": jpeg.inspect,
    "webp": webp.inspect,
    "avif": avif.inspect,
    "tiff": tiff.inspect,
    "bmp": bmp.inspect,
}


def read_header(data: bytes) -> ImageHeader:
    """What the file says of itself; nothing is decoded, and the memory taken does not depend on the size it claims.

    Raises EmptyBody, UnsupportedMedia for other formats, UnsupportedPixels for pixel kinds that are not read,
    UndecodableImage where the header is damaged. A file that breaks off behind its header passes: `decode` refuses it.
    """
    return inspect(data).header


def inspect(data: bytes) -> Container:
    """The header with what decoding needs beside it. Raises as `read_header`."""
    return _INSPECTORS[sniff(data)](data)


def check_header(header: ImageHeader, limits: ImageLimits) -> None:
    """Raises TooManyPixels or AnimatedImage, naming limit and value."""
    longest = max(header.width, header.height)
    if longest > limits.max_side:
        raise TooManyPixels(
            f"The image is {header.width}x{header.height} pixels; at most {limits.max_side} on a side are taken.",
            members={"limit": limits.max_side, "actual": longest},
        )
    if header.pixels > limits.max_input_pixels:
        raise TooManyPixels(
            f"The image has {header.pixels} pixels ({header.width}x{header.height}); "
            f"at most {limits.max_input_pixels} are taken.",
            members={"limit": limits.max_input_pixels, "actual": header.pixels},
        )
    if header.frames > limits.max_frames:
        raise AnimatedImage(
            f"The image has {header.frames} frames or pages; at most {limits.max_frames} can be enlarged per request. "
            "Send its frames one by one.",
            members={"limit": limits.max_frames, "actual": header.frames},
        )
