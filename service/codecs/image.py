"""The records of the codecs: what a header says, what it may say, pixels with what travels beside them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class ImageHeader:
    """What an image says of itself before any pixel is decoded."""

    format: str
    """One of `formats.INPUT_FORMATS`."""
    width: int
    """Pixels, as the picture is meant to be seen: after the EXIF (or AVIF) orientation."""
    height: int
    bits: int
    """8 or 16: the depth the pixels are decoded to. 1, 2 and 4 bits become 8; 10 and 12 bits (AVIF) become 16."""
    has_alpha: bool
    frames: int
    """Pictures in the file; counting stops at `MAX_COUNTED_FRAMES`."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


MAX_COUNTED_FRAMES = 10_000

HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273, table 3) of high dynamic range, which no output format here could hold."""


@dataclass(frozen=True)
class ImageLimits:
    """What is decoded at all. Each limit is compared with the header, before pixels take any memory."""

    max_input_pixels: int
    max_side: int
    max_frames: int = 1


@dataclass(frozen=True)
class Metadata:
    """What travels beside the pixels. `icc_profile` belongs to the colour and survives `metadata=strip`."""

    icc_profile: bytes | None = None
    """Of the pixels' own colour space (RGB or grey); never of CMYK or Lab, which are converted away."""
    exif: bytes | None = None
    """A TIFF structure (no `Exif\\0\\0` before it) without orientation and without an embedded thumbnail."""
    xmp: bytes | None = None
    """The XMP packet: UTF-8 XML."""


@dataclass(frozen=True)
class Container:
    """A file taken apart without decoding: the header, and everything the decoding of its pixels needs to know."""

    header: ImageHeader
    orientation: int = 1
    """EXIF's number, 1 to 8: how the stored picture becomes the upright one that `header` measures."""
    metadata: Metadata = field(default_factory=Metadata)
    complete: bool = True
    """False where the file ends before its own structure does."""

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the pixels as they lie in the file, before the orientation is applied."""
        upright = (self.header.height, self.header.width)
        return upright if self.orientation < 5 else (upright[1], upright[0])


@dataclass
class DecodedImage:
    """Upright pixels and what travels beside them: the same record before (LR) and after (SR) the network."""

    colour: Pixels
    """uint8 or uint16 [H,W,3], C-contiguous, straight (not premultiplied). A grey image has three equal channels."""
    alpha: Pixels | None
    """[H,W] of the same dtype, C-contiguous; None where the file has no transparency at all."""
    grey: bool
    """Whether the file was grey, and is to be written as grey."""
    metadata: Metadata
    source_format: str

    @property
    def opaque(self) -> bool:
        """Whether nothing shines through: no alpha, or an alpha that is full everywhere."""
        return self.alpha is None or bool(self.alpha.min() == np.iinfo(self.alpha.dtype).max)
