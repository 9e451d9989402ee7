"""What the answer is written as: the format asked for, or the best that an Accept header allows; and its quality."""

from service.codecs.formats import MEDIA_TYPES, OUTPUT_FORMATS
from service.errors import BadParameter, NotAcceptable

DEFAULT_FORMAT = "png"
MIN_QUALITY, MAX_QUALITY = 1, 100

_SHORT_NAMES = {"jpg": "jpeg", "tif": "tiff"}


def choose_format(requested: str | None, accept: str | None) -> str:
    """One of OUTPUT_FORMATS: `requested` where given, else by the Accept header (RFC 9110, 12.5.1), else png.

    Among formats of equal q a type named in full goes before a wildcard, then the order of OUTPUT_FORMATS decides.
    Raises BadParameter for an unknown `requested`, NotAcceptable where the header allows none; both list the formats.
    """
    if requested is not None:
        name = requested.strip().lower()
        name = _SHORT_NAMES.get(name, name)
        if name not in OUTPUT_FORMATS:
            raise BadParameter(
                f"format={requested[:50]!r} cannot be written; {', '.join(OUTPUT_FORMATS)} can.",
                members={"parameter": "format", "supported": list(OUTPUT_FORMATS)},
            )
        return name
    if accept is None or not accept.strip():
        return DEFAULT_FORMAT
    ranges = _media_ranges(accept)
    wishes = {name: _wish(MEDIA_TYPES[name], ranges) for name in OUTPUT_FORMATS}
    best = max(OUTPUT_FORMATS, key=lambda name: wishes[name])  # of equals the first
    if wishes[best][0] <= 0:
        raise NotAcceptable(
            f"Accept: {accept[:200]!r} allows none of the formats that can be written: {', '.join(OUTPUT_FORMATS)}.",
            members={"supported": [MEDIA_TYPES[name] for name in OUTPUT_FORMATS]},
        )
    return best


def choose_media_type(accept: str | None, offered: tuple[str, ...]) -> str:
    """Of the media types on offer the one that the Accept header likes best, of equals the first.

    Raises NotAcceptable where it allows none.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _media_ranges(accept)
    best = max(offered, key=lambda media_type: _wish(media_type, ranges))
    if _wish(best, ranges)[0] <= 0:
        raise NotAcceptable(
            f"Accept: {accept[:200]!r} allows none of {', '.join(offered)}.", members={"supported": list(offered)}
        )
    return best


def check_quality(quality: int | None) -> None:
    """Raises BadParameter outside 1 to 100. Formats without loss (png, tiff) meet any quality."""
    if quality is not None and not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise BadParameter(
            f"quality={quality} is outside {MIN_QUALITY} to {MAX_QUALITY}.",
            members={"parameter": "quality", "limit": [MIN_QUALITY, MAX_QUALITY], "actual": quality},
        )


def _media_ranges(accept: str) -> dict[str, float]:
    """The weight q by media range; a member that cannot be read is left out."""
    ranges: dict[str, float] = {}
    for member in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in member.split(";"))
        weights = [
            value.strip() for name, _, value in (part.partition("=") for part in parameters) if name.strip() == "q"
        ]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if media_range and 0 <= weight <= 1:
            ranges[_SHORT_TYPES.get(media_range, media_range)] = weight
    return ranges


_SHORT_TYPES = {"image/jpg": "image/jpeg", "*": "*/*"}


def _wish(media_type: str, ranges: dict[str, float]) -> tuple[float, int]:
    """(q, specificity) of the most specific range that covers the type; q 0 where none does."""
    kind = media_type.partition("/")[0]
    for specificity, media_range in ((2, media_type), (1, f"{kind}/*"), (0, "*/*")):
        if media_range in ranges:
            return ranges[media_range], specificity
    return 0.0, 0
