"""The last step: pixels and what travels beside them become the bytes of the answer."""

from dataclasses import dataclass, replace
from typing import Literal

from service.codecs import avif, exif, jpeg, png, tiff_write, webp
from service.codecs.formats import OUTPUT_FORMATS
from service.codecs.image import DecodedImage, Metadata
from service.codecs.negotiate import check_quality
from service.errors import AlphaNotRepresentable, BadParameter, OutputTooLarge

DEFAULT_QUALITY = {"jpeg": 95, "webp": 90, "avif": 90}
"""Where the caller names none. 100 is lossless for WebP only."""

_MAX_SIDES = {"jpeg": jpeg.MAX_SIDE, "webp": webp.MAX_SIDE}
# Memory beside the pixels, in bytes per pixel: the answer and the encoder's own, measured on noisy photographs of
# 6 to 96 MP and rounded up.
_ENCODER_BYTES = {"png": 3, "jpeg": 2, "tiff": 3, "webp": 3, "avif": 44}
_LOSSLESS_WEBP_BYTES = 24
_EXTRA_BYTES_OF_16_BITS = {"png": 3, "tiff": 3}
_ROUNDED_COPY_BYTES = 3


@dataclass(frozen=True)
class EncodeOptions:
    """How the answer is written."""

    format: str
    """One of `formats.OUTPUT_FORMATS`."""
    quality: int | None = None
    """1 to 100 for jpeg, webp and avif; png and tiff are lossless and meet any."""
    metadata: Literal["keep", "strip"] = "keep"
    """EXIF and XMP; an ICC profile is colour, and always kept."""
    compression: Literal["fast", "small"] = "fast"
    """Of png: quickly, or as small as it gets."""


def check_encodable(image: DecodedImage, options: EncodeOptions, *, height: int, width: int) -> None:
    """Refuse before the network runs what could not be written after it, at [height, width].

    Raises BadParameter (quality; metadata too large for the format), AlphaNotRepresentable, OutputTooLarge.
    """
    name = options.format
    check_quality(options.quality)
    if name == "jpeg" and not image.opaque:
        able = [other for other in OUTPUT_FORMATS if other != "jpeg"]
        raise AlphaNotRepresentable(
            f"The image is partly transparent, which jpeg cannot hold; {', '.join(able)} can.",
            members={"supported": able},
        )
    longest = max(height, width)
    if longest > _MAX_SIDES.get(name, longest):
        raise OutputTooLarge(
            f"The answer would be {width}x{height} pixels; {name} holds at most {_MAX_SIDES[name]} on a side.",
            members={"limit": _MAX_SIDES[name], "actual": longest},
        )
    most = _max_pixels(options, transparent=not image.opaque)
    if most is not None and height * width > most:
        raise OutputTooLarge(
            f"The answer would have {height * width} pixels; so written as {name} at most {most} are, "
            "for the encoder's need of memory. png, tiff and, without transparency, jpeg take more.",
            members={"limit": most, "actual": height * width},
        )
    if name == "jpeg":
        _check_segments(_carried(image.metadata, options, height=height, width=width))


def encode(image: DecodedImage, options: EncodeOptions) -> bytes:
    """The file: grey where `image.grey`, 16 bits where the pixels and the format have them (png, tiff), else 8.

    An alpha that is full everywhere is kept in png and tiff; the encoders of webp and avif leave it out, jpeg has none.
    `image` is not changed. Raises as `check_encodable`.
    """
    height, width = image.colour.shape[:2]
    check_encodable(image, options, height=height, width=width)
    metadata = _carried(image.metadata, options, height=height, width=width)
    quality = options.quality or DEFAULT_QUALITY.get(options.format, 0)
    match options.format:
        case "png":
            return png.encode(image, metadata, small=options.compression == "small")
        case "tiff":
            return tiff_write.encode(image, metadata)
        case "jpeg":
            return jpeg.encode(image, metadata, quality=quality)
        case "webp":
            return webp.encode(image, metadata, quality=quality)
        case "avif":
            return avif.encode(image, metadata, quality=quality)
        case other:
            raise ValueError(f"{other!r} is not one of {OUTPUT_FORMATS}")


def predicted_encoder_bytes(options: EncodeOptions, *, pixels: int, bits: int, has_alpha: bool) -> int:
    """Memory that `encode` takes at its peak for that many pixels, the answer included, `image` itself not."""
    per_pixel = _ENCODER_BYTES[options.format]
    if options.format == "webp" and (has_alpha or options.quality == webp.LOSSLESS_QUALITY):
        per_pixel = _LOSSLESS_WEBP_BYTES
    if bits == 16:
        per_pixel += _EXTRA_BYTES_OF_16_BITS.get(options.format, _ROUNDED_COPY_BYTES)
    return pixels * per_pixel


def _max_pixels(options: EncodeOptions, *, transparent: bool) -> int | None:
    if options.format == "avif":
        return avif.MAX_OUTPUT_PIXELS
    if options.format == "webp" and (transparent or options.quality == webp.LOSSLESS_QUALITY):
        return webp.MAX_LOSSLESS_PIXELS
    return None


def _carried(metadata: Metadata, options: EncodeOptions, *, height: int, width: int) -> Metadata:
    if options.metadata == "strip":
        return Metadata(icc_profile=metadata.icc_profile)
    if metadata.exif is None:
        return metadata
    return replace(metadata, exif=exif.resized(metadata.exif, height=height, width=width))


def _check_segments(metadata: Metadata) -> None:
    for what, prefix, block in (
        ("EXIF", jpeg.EXIF_PREFIX, metadata.exif),
        ("XMP", jpeg.XMP_PREFIX, metadata.xmp),
    ):
        room = jpeg.MAX_SEGMENT_BYTES - len(prefix)
        if block and len(block) > room:
            raise BadParameter(
                f"The image's {what} has {len(block)} bytes; jpeg holds at most {room}. "
                "Send metadata=strip, or ask for png, webp, avif or tiff.",
                members={"parameter": "metadata", "limit": room, "actual": len(block)},
            )
