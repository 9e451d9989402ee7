"""The fake's pictures: enlarged and shrunk by Pillow, without any network. Colours have 8 bits."""

import io
from collections.abc import Callable

from PIL import Image, ImageOps, UnidentifiedImageError

from srserve_client.problems import EmptyBody, NotAcceptable, UndecodableImage, UnsupportedMedia
from srserve_client.testing.parameters import FORMATS, Parameters

Maker = Callable[[bytes, Parameters], tuple[bytes, str, int, int]]  # to content, media type, width, height

READ = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP")
READ_TYPES = [f"image/{name.lower()}" for name in READ]


def opened(content: bytes) -> Image.Image:
    """The picture in a file, upright, its palette resolved. Raises what the service raises for what is none."""
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


def resized(image: Image.Image, scale: int, width: int, height: int, *, up: bool) -> Image.Image:
    """By nearest neighbour to `scale` times as many pixels, then, or downward, by averages to the size."""
    if up:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BOX)


def written(image: Image.Image, name: str, *, quality: int) -> bytes:
    """The picture as a file of that format."""
    file = io.BytesIO()
    image.save(file, name.upper(), quality=quality)
    return file.getvalue()


def accepted(accept: str | None) -> str:
    """The format that an Accept header chooses, in the order in which it names them. Raises NotAcceptable."""
    wanted = [entry.partition(";")[0].strip().lower() for entry in (accept or "*/*").split(",")]
    for media_type in wanted:
        if media_type in ("*/*", "image/*"):
            return "png"
        if media_type.removeprefix("image/") in FORMATS:
            return media_type.removeprefix("image/")
    raise NotAcceptable(
        f"None of {accept} can be written.", members={"supported": [f"image/{name}" for name in FORMATS]}
    )
