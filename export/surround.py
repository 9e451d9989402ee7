"""What stands around a foreign graph: our pixels before it and after it, two small graphs in ONNX's own words."""

import textwrap
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
from onnx import numpy_helper

from export.luma import BLACK, BLUE, GREEN, REACH, RED, WHITE, LumaInColour
from export.pixels import Pixels
from export.trace import OPSET

Channels = Literal["rgb", "bgr", "y", "y-full"]
CHANNELS: tuple[Channels, ...] = ("rgb", "bgr", "y", "y-full")

_IR_VERSION = 10
_PIXEL_RANGE = {"uint8": 255.0, "float32": 1.0}
_ELEMENT = {"uint8": "uint8", "float32": "float"}
_FOREIGN_ELEMENT: dict[int, str] = {onnx.TensorProto.FLOAT: "float", onnx.TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True)
class Layout:
    """How a foreign graph holds a picture: [N,C,H,W] or [N,H,W,C], values in [0, `value_range`] of type `element`.

    Channels "y" are luma of ITU-R BT.601 in studio range, black 16/255 (the papers'), "y-full" in full range (JPEG's).
    """

    channels: Channels
    value_range: float
    channels_first: bool
    element: int = onnx.TensorProto.FLOAT

    @property
    def is_luma(self) -> bool:
        """Whether it is one channel, the colours of which are enlarged beside it."""
        return self.channels.startswith("y")

    @property
    def black_and_white(self) -> tuple[float, float]:
        """The luma of black and of white, as shares of the range."""
        return (BLACK, WHITE) if self.channels == "y" else (0.0, 1.0)


def before(layout: Layout, pixels: Pixels) -> onnx.ModelProto:
    """`lr` [N,H,W,3] to `values`, which the foreign graph takes, and `planes` float32 [N,3,H,W], for `after`."""
    black, white = layout.black_and_white
    weights = np.array([RED, GREEN, BLUE]) * (white - black) * layout.value_range / _PIXEL_RANGE[pixels]
    steps = {
        "rgb": "picture = Mul(planes, gain)",
        "bgr": "turned = Gather<axis = 1>(planes, reversed)  picture = Mul(turned, gain)",
    }
    foreign = _FOREIGN_ELEMENT[layout.element]
    text = f"""
        before ({_ELEMENT[pixels]}[N,H,W,3] lr) => ({foreign}[N,A,B,C] values, float[N,3,H,W] planes) {{
          first = Transpose<perm = [0, 3, 1, 2]>(lr)
          planes = Cast<to = 1>(first)
          {steps.get(layout.channels, "picture = Conv(planes, luma, offset)")}
          placed = Transpose<perm = {[0, 1, 2, 3] if layout.channels_first else [0, 2, 3, 1]}>(picture)
          values = Cast<to = {layout.element}>(placed)
        }}"""
    return _graph(
        text,
        gain=np.float32(layout.value_range / _PIXEL_RANGE[pixels]),
        reversed=np.array([2, 1, 0]),
        luma=weights.astype(np.float32).reshape(1, 3, 1, 1),
        offset=np.array([black * layout.value_range], np.float32),
    )


def after(layout: Layout, pixels: Pixels, *, scale: int) -> onnx.ModelProto:
    """`answer`, which the foreign graph gives, and `planes` to `sr` [N,s*H,s*W,3].

    Bytes are clamped and rounded half to even; float pixels are not clamped, as the contract wants it.
    """
    black, white = layout.black_and_white
    steps = {
        "rgb": "colours = Mul(picture, gain)",
        "bgr": "turned = Gather<axis = 1>(picture, reversed)  colours = Mul(turned, gain)",
    }
    colour_of_luma = f"""
          around = Pad<mode = "edge">(planes, margin)
          phases = Conv(around, kernel)
          chroma = DepthToSpace<blocksize = {scale}, mode = "CRD">(phases)
          above = Sub(picture, black)
          luma = Mul(above, luma_gain)
          colours = Add(chroma, luma)"""
    ending = {
        "uint8": "clamped = Clip(colours, least, most)  rounded = Round(clamped)  last = Cast<to = 2>(rounded)",
        "float32": "last = Identity(colours)",
    }
    foreign = _FOREIGN_ELEMENT[layout.element]
    text = f"""
        after ({foreign}[N,A,B,C] answer, float[N,3,H,W] planes) => ({_ELEMENT[pixels]}[N,SH,SW,3] sr) {{
          numbers = Cast<to = 1>(answer)
          picture = Transpose<perm = {[0, 1, 2, 3] if layout.channels_first else [0, 3, 1, 2]}>(numbers)
          {steps.get(layout.channels, colour_of_luma)}
          {ending[pixels]}
          sr = Transpose<perm = [0, 2, 3, 1]>(last)
        }}"""
    return _graph(
        text,
        gain=np.float32(_PIXEL_RANGE[pixels] / layout.value_range),
        reversed=np.array([2, 1, 0]),
        margin=np.array([0, 0, REACH, REACH, 0, 0, REACH, REACH]),
        kernel=LumaInColour(scale, pixel_range=1.0, luma_range=1.0).kernel.numpy(),
        black=np.float32(black * layout.value_range),
        luma_gain=np.float32(_PIXEL_RANGE[pixels] / (layout.value_range * (white - black))),
        least=np.float32(0),
        most=np.float32(255),
    )


def _graph(text: str, **constants: npt.NDArray[Any] | np.generic) -> onnx.ModelProto:
    """The graph in `text`, with those of `constants` that it names."""
    head = f'<ir_version: {_IR_VERSION}, opset_import: ["" : {OPSET}]>'
    proto = onnx.parser.parse_model(f"{head}\n{textwrap.dedent(text)}")
    named = {name for node in proto.graph.node for name in node.input}
    for name, value in constants.items():
        if name in named:
            proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return proto
