"""PictureFile: a picture that the service made, to be saved, or opened by Pillow or numpy where they are installed."""

import io
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srserve_client.files import write_whole

if TYPE_CHECKING:
    import numpy
    from PIL import Image

_PNG_COLOURS = (2, 4, 6)  # colour types of PNG that Pillow holds with 8 bits: all but grey
_TIFF_BITS_PER_SAMPLE = 258


@dataclass(frozen=True)
class PictureFile:
    """A picture as the bytes of a file."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def suffix(self) -> str:
        """The ending of a file with this content, such as ".png"."""
        return "." + self.media_type.rpartition("/")[2].replace("jpeg", "jpg")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, whole or not at all, and return its path. Folders are made. Raises OSError."""
        return write_whole(Path(path), self.content)

    def image(self) -> "Image.Image":
        """The picture for Pillow, which holds colours in 8 bits a channel: of 16, it drops the lower 8. See `array`.

        Raises ImportError without Pillow (`srserve-client[pillow]`).
        """
        from PIL import Image

        image = Image.open(io.BytesIO(self.content))
        image.load()
        return image

    def array(self) -> "numpy.ndarray[Any, Any]":
        """The pixels [H,W] or [H,W,C], uint8 or uint16.

        Raises ImportError without numpy and Pillow (`srserve-client[numpy]`), and, for colours of 16 bits, without
        imagecodecs: Pillow would read 8 of them.
        """
        import numpy

        image = self.image()
        if _has_16_bit_colours(self.content, image):
            import imagecodecs

            pixels: numpy.ndarray[Any, Any] = imagecodecs.imread(self.content)
            return pixels
        return numpy.asarray(image)


def _has_16_bit_colours(content: bytes, image: "Image.Image") -> bool:
    """Whether Pillow has dropped bits: of PNG it does not say, so the header's depth and colour type are read."""
    if image.format == "PNG":
        depth, colours = struct.unpack(">BB", content[24:26])
        return depth == 16 and colours in _PNG_COLOURS
    depths = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE, ())
    return len(depths) > 1 and max(depths) > 8
