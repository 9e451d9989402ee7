"""What a graph takes and gives, as its manifest says: names, element types and axes. docs/manifest.md in code."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch

from service.manifest import NOISE_LENGTH, Manifest

Axes = tuple[int | str, ...]  # a number where an axis is fixed, a name or an expression of names where it is free
Batch = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

_ELEMENTS = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT}


@dataclass(frozen=True)
class Value:
    """An input or output of a graph. `element` is "uint8" or "float32"; the first axis is always the batch, "N"."""

    name: str
    element: str
    axes: Axes

    @property
    def onnx_element(self) -> int:
        """The number of the element type in ONNX."""
        return _ELEMENTS[self.element]

    @property
    def free(self) -> dict[int, str]:
        """The free axes, by position."""
        return {position: axis for position, axis in enumerate(self.axes) if isinstance(axis, str)}

    def zeros(self, sizes: dict[str, int]) -> torch.Tensor:
        """A tensor of this kind; `sizes` of the free axes by name."""
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in self.axes]
        return torch.zeros(shape, dtype=torch.uint8 if self.element == "uint8" else torch.float32)


def graph_inputs(facts: Manifest) -> tuple[Value, ...]:
    """Pixels, and the noise of a degradation."""
    height, width = _picture(facts)
    window = (facts.frame_window,) if facts.input == "frames" else ()
    pixels = Value(facts.input_name, facts.pixels, ("N", *window, height, width, 3))
    if facts.noise == "none":
        return (pixels,)
    axes: Axes = ("N", NOISE_LENGTH) if facts.noise == "vector" else ("N", height, width, 1)
    return pixels, Value("noise", "float32", axes)


def graph_output(facts: Manifest) -> Value:
    """The answer, `scale` times as large as the input or, of a degradation, as small, rounded up."""
    resized = _enlarged if facts.direction == "up" else _shrunk
    height, width = (resized(side, facts.scale) for side in _picture(facts))
    return Value(facts.output_name, facts.pixels, ("N", height, width, 3))


def picture_size(facts: Manifest) -> tuple[int, int] | None:
    """The only (height, width) of input pixels that the graph takes; None: any."""
    if facts.fixed_size is None:
        return None
    times = facts.scale if facts.direction == "down" else 1
    height, width = facts.fixed_size
    return height * times, width * times


def draw_noise(facts: Manifest, pixels: Batch, *, seed: int = 0) -> npt.NDArray[np.float32] | None:
    """Standard normal noise that goes with a batch of pixels; None where the graph takes none."""
    if facts.noise == "none":
        return None
    shape = (len(pixels), NOISE_LENGTH) if facts.noise == "vector" else (*pixels.shape[:-1], 1)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _picture(facts: Manifest) -> tuple[int | str, int | str]:
    return picture_size(facts) or ("H", "W")


def _enlarged(side: int | str, scale: int) -> int | str:
    return f"{scale}*{side}" if isinstance(side, str) else scale * side


def _shrunk(side: int | str, scale: int) -> int | str:
    return f"(({side} + {scale - 1})//{scale})" if isinstance(side, str) else -(-side // scale)
