"""Between the numbers of a video and the RGB of the networks: matrix and range of the source, there and back."""

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from service.video.records import Colour

_SWS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # H.273's numbers of matrices to swscale's
# Chroma is interpolated, not repeated, and averaged, not dropped: 10 dB better than swscale's default there and back.
_CAREFUL = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


def to_rgb(frame: av.VideoFrame, colour: Colour, *, bits: int, is_rgb: bool) -> NDArray[Any]:
    """[H,W,3] of 8 or 16 bits, a new array."""
    converted = frame.reformat(
        format="rgb24" if bits == 8 else "rgb48le",
        src_colorspace=None if is_rgb else _SWS[colour.matrix],
        src_color_range=None if is_rgb else colour.range,
        dst_color_range=ColorRange.JPEG,
        interpolation=_CAREFUL,
    )
    return converted.to_ndarray()


def from_rgb(pixels: NDArray[Any], colour: Colour, *, pixel_format: str) -> av.VideoFrame:
    """The frame to be encoded."""
    source = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le")
    frame = source.reformat(
        format=pixel_format,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=_SWS[colour.matrix],
        dst_color_range=colour.range,
        interpolation=_CAREFUL,
    )
    frame.colorspace, frame.color_range = colour.matrix, colour.range
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    return frame
