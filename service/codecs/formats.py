"""Which formats are read and written, how bytes are recognised, and whether they are what their sender declared."""

from service.codecs.image import ImageHeader
from service.errors import EmptyBody, MediaTypeMismatch, UnsupportedMedia

INPUT_FORMATS = ("png", "jpeg", "webp", "avif", "tiff", "bmp")
OUTPUT_FORMATS = ("png", "jpeg", "webp", "avif", "tiff")
MEDIA_TYPES = {name: f"image/{name}" for name in INPUT_FORMATS}

_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/x-webp": "image/webp",
    "image/tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "image/x-windows-bmp": "image/bmp",
}
# What clients send when they do not know: the bytes decide. The form type is what curl's --data-binary declares.
_UNDECLARED = {
    "",
    "*/*",
    "image/*",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
}

_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
# Only to say what was sent instead of "unknown": none of these is read.
_OTHER_PREFIXES = (
    (b"GIF8", "a GIF"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"8BPS", "a Photoshop"),
    (b"\0\0\1\0", "an icon"),
    (b"%PDF", "a PDF"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML"),
    (b"<!DOCTYPE", "an HTML"),
    (b"<html", "an HTML"),
    (b"v/1\x01", "an OpenEXR"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM"),
    (b"PK\x03\x04", "a ZIP"),
    (b"\x1f\x8b", "a gzip"),
)


def sniff(data: bytes) -> str:
    """The format of `data`, by content alone.

    Raises EmptyBody, and UnsupportedMedia for anything outside `INPUT_FORMATS`, named where it is known.
    """
    if not data:
        raise EmptyBody("The body is empty: it should hold the bytes of one image.")
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if data[4:8] == b"ftyp" and _brands(data) & {b"avif", b"avis"}:
        return "avif"
    raise _unsupported(f"The body is {_what_it_is(data)}.")


def check_media_type(declared: str | None, header: ImageHeader) -> None:
    """Compare a Content-Type with what the bytes are.

    None, `application/octet-stream`, curl's default `application/x-www-form-urlencoded` and wildcards declare nothing.
    Raises UnsupportedMedia for a declared type that is not an image's, MediaTypeMismatch for another image type than
    the bytes have: one of the two is a mistake, and only the caller knows which.
    """
    media_type = (declared or "").split(";", 1)[0].strip().lower()
    if media_type in _UNDECLARED:
        return
    if not media_type.startswith("image/"):
        raise _unsupported(f"The declared type {media_type[:100]!r} is not an image's.")
    actual = MEDIA_TYPES[header.format]
    if _ALIASES.get(media_type, media_type) != actual:
        raise MediaTypeMismatch(
            f"The body was declared as {media_type[:100]!r} but is {actual}. Declare {actual}, or no type at all.",
            members={"declared": media_type[:100], "actual": actual},
        )


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file, from its first box."""
    size = min(int.from_bytes(data[:4], "big"), len(data), 4096)
    return {data[8:12]} | {data[at : at + 4] for at in range(16, size - 3, 4)}


def _what_it_is(data: bytes) -> str:
    start = data.lstrip()[:16] if data[:1].isspace() else data[:16]
    for prefix, name in _OTHER_PREFIXES:
        if start.startswith(prefix):
            return f"{name} file"
    if data[4:8] == b"ftyp":
        return "a HEIC or video file"
    return "in no format that is known here"


def _unsupported(reason: str) -> UnsupportedMedia:
    # RFC 9110, 15.5.16: the Accept header of a 415 says what would have been taken.
    types = list(MEDIA_TYPES.values())
    return UnsupportedMedia(
        f"{reason} Read are {', '.join(INPUT_FORMATS)}.",
        members={"supported": types},
        headers={"Accept": ", ".join(types)},
    )
