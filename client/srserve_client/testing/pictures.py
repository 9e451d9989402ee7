"""The fake's parameters and pictures: checked as the service checks them, enlarged by nearest neighbour with Pillow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
from PIL import Image, ImageOps, UnidentifiedImageError

from srserve_client.problems import (
    BadParameter,
    EmptyBody,
    NotAcceptable,
    UndecodableImage,
    UnknownModel,
    UnsupportedMedia,
    UnsupportedScale,
)

PARAMETERS = ("model", "scale", "format", "quality", "tiling", "metadata")
FORMATS = ("png", "jpeg", "webp", "avif", "tiff")
READ = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP")
READ_TYPES = [f"image/{name.lower()}" for name in READ]
CHOICES = {"tiling": ("fast", "exact"), "metadata": ("keep", "strip")}


@dataclass(frozen=True)
class Parameters:
    """What was asked for; `format` None: the Accept header chooses."""

    model: str
    scale: int
    format: str | None
    quality: int
    tiling: str


def check_parameters(query: httpx2.QueryParams, models: Mapping[str, tuple[int, ...]]) -> Parameters:
    """The query of /upscale. Raises BadParameter, UnknownModel, UnsupportedScale."""
    for name in query:
        if name not in PARAMETERS:
            raise BadParameter(
                f"There is no parameter {name!r}.", members={"parameter": name, "known": list(PARAMETERS)}
            )
        if len(query.get_list(name)) > 1:
            raise BadParameter(f"{name} is given several times; give it once.", members={"parameter": name})
    if "model" not in query:
        raise _missing("model", sorted(models))
    if query["model"] not in models:
        raise UnknownModel(f"There is no model {query['model']!r}.", members={"available": sorted(models)})
    scales = models[query["model"]]
    if "scale" not in query:
        raise _missing("scale", list(scales))
    if query.get("format", "png") not in FORMATS:
        raise BadParameter("format is none.", members={"parameter": "format", "supported": list(FORMATS)})
    faults = [name for name, choices in CHOICES.items() if query.get(name, choices[0]) not in choices]
    quality = query.get("quality", "90")
    if not (quality.isdecimal() and 1 <= int(quality) <= 100):
        faults.append("quality")
    if not query["scale"].isdecimal():
        faults.append("scale")
    if faults:
        errors = [{"parameter": name, "detail": "is not valid", "actual": query[name]} for name in faults]
        raise BadParameter(f"{', '.join(faults)}: not valid.", members={"errors": errors})
    if int(query["scale"]) not in scales:
        raise UnsupportedScale(
            f"The model {query['model']} has no scale {query['scale']}.", members={"supported": list(scales)}
        )
    return Parameters(
        query["model"], int(query["scale"]), query.get("format"), int(quality), query.get("tiling", "fast")
    )


def enlarge(content: bytes, parameters: Parameters, *, accept: str | None) -> tuple[bytes, str]:
    """The picture's file, larger, and its media type. Raises what the service raises for what is no picture."""
    chosen = parameters.format or _accepted(accept)
    image = opened(content)
    image = image.resize((image.width * parameters.scale, image.height * parameters.scale), Image.Resampling.NEAREST)
    return written(image, chosen, quality=parameters.quality), f"image/{chosen}"


def opened(content: bytes) -> Image.Image:
    """The picture in a file, upright, its palette resolved."""
    if not content:
        raise EmptyBody("The picture has 0 bytes.")
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=READ)
    except UnidentifiedImageError as error:
        raise UnsupportedMedia(
            "The body is no picture that is read here.", members={"supported": READ_TYPES}
        ) from error
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise UndecodableImage(f"The picture is damaged: {error}.") from error
    image = ImageOps.exif_transpose(image)
    return image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode == "P" else image


def written(image: Image.Image, name: str, *, quality: int = 90) -> bytes:
    """The picture as a file of that format."""
    file = io.BytesIO()
    image.save(file, name.upper(), quality=quality)
    return file.getvalue()


def _accepted(accept: str | None) -> str:
    wanted = [entry.partition(";")[0].strip().lower() for entry in (accept or "*/*").split(",")]
    for media_type in wanted:
        if media_type in ("*/*", "image/*"):
            return "png"
        if media_type.removeprefix("image/") in FORMATS:
            return media_type.removeprefix("image/")
    raise NotAcceptable(
        f"None of {accept} can be written.", members={"supported": [f"image/{name}" for name in FORMATS]}
    )


def _missing(name: str, available: list[str] | list[int]) -> BadParameter:
    return BadParameter(f"The parameter {name} is missing.", members={"parameter": name, "available": available})
