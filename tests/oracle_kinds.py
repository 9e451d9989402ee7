"""Oracles of every other kind of graph: frames, a grid, one size, degradations, and one that knows up from down.

- clip: of three frames, (1 * first + 2 * middle + 4 * last) / 7, rounded down, then nearest; of a still, nearest.
- blocks: every block of `multiple` x `multiple` LR pixels, counted from the input's corner, becomes its brightest
  value, then nearest. A tile that does not begin on the grid shows; a block cut off at the end needs no whole one.
- fixed: nearest of FIXED_SIZE only.
- degrading, degrading_once: a weighted sum of HR pixels and of the noise's bits, modulo 256 (float32: 65536), for each
  LR pixel. Every number of the noise, and every HR pixel's place, shows in the answer.
- oriented: (2 * left neighbour + upper neighbour + pixel) / 5, zeros outside, then nearest. Turned and mirrored inputs
  get other answers. Of pixels that are multiples of 8, neither it nor the mean of 8 orientations is ever half-way
  between two levels.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.manifest import NOISE_LENGTH
from tests.oracles import (
    ELEMENT,
    Pixels,
    constant,
    enlarge,
    graph_of,
    manifest,
    nearest,
    nearest_graph,
    scales,
    set_manifest,
)

FRAME_WINDOW = 3
FIXED_SIZE = (12, 20)  # LR pixels, height and width
FIXED_HR_SIDE = 16
NOISE_SCALE = 2.0**24  # the noise's numbers times this, rounded down, are whole

_LEVELS = {"uint8": 256, "float32": 65536}


def clip_graph(scale: int, pixels: Pixels = "uint8") -> onnx.ModelProto:
    weights = np.array([1, 2, 4], np.float32).reshape(1, 3, 1, 1, 1)
    level = 65535.0 if pixels == "float32" else 1.0
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "level"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["whole"]),
        helper.make_node("Mul", ["whole", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "time"], ["sums"], keepdims=0),
        helper.make_node("Div", ["sums", "seven"], ["means"]),
        helper.make_node("Floor", ["means"], ["floored"]),
        helper.make_node("Div", ["floored", "level"], ["unscaled"]),
        helper.make_node("Cast", ["unscaled"], ["small"], to=ELEMENT[pixels]),
        enlarge("small", scale),
    ]
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([1], np.int64), "time"),
        *(constant("level", level), constant("seven", 7.0), scales(scale)),
    ]
    facts = manifest("clip", scale=scale, pixels=pixels, input="frames", frame_window=FRAME_WINDOW)
    return graph_of(nodes, constants, facts)


def blocks_graph(scale: int, multiple: int, *, pixels: Pixels = "uint8") -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "MaxPool", ["planes"], ["brightest"], kernel_shape=[multiple] * 2, strides=[multiple] * 2, ceil_mode=1
        ),
        helper.make_node("Transpose", ["brightest"], ["blocks"], perm=[0, 2, 3, 1]),
        helper.make_node(
            "Resize",
            ["blocks", "", "cells"],
            ["whole"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Shape", ["lr"], ["shape"]),
        helper.make_node("Slice", ["whole", "zeros", "shape"], ["cropped"]),
        helper.make_node("Cast", ["cropped"], ["small"], to=ELEMENT[pixels]),
        enlarge("small", scale),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, multiple, multiple, 1], np.float32), "cells"),
        numpy_helper.from_array(np.zeros(4, np.int64), "zeros"),
        scales(scale),
    ]
    facts = manifest("blocks", scale=scale, pixels=pixels, halo=multiple - 1, size_multiple=multiple)
    return graph_of(nodes, constants, facts)


def fixed_graph(scale: int) -> onnx.ModelProto:
    proto = nearest_graph(scale)
    for value, factor in ((proto.graph.input[0], 1), (proto.graph.output[0], scale)):
        for axis, side in enumerate(FIXED_SIZE, start=1):
            value.type.tensor_type.shape.dim[axis].dim_value = side * factor
    return set_manifest(proto, manifest("fixed", scale=scale, fixed_size=FIXED_SIZE))


def degrading_graph(scale: int, *, radius: int = 1, multiple: int = 1, pixels: Pixels = "uint8") -> onnx.ModelProto:
    """An LR pixel sees the HR pixels of the (2 * radius + 1)**2 LR pixels around it; `noise` is a map."""
    side = scale * (2 * radius + 1)
    kernel = np.broadcast_to(_tap_weights(side), (3, 1, side, side)).astype(np.float32)
    nodes = [
        *_noisy_levels("noise", pixels),
        helper.make_node("Transpose", ["noisy"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv",
            ["planes", "kernel"],
            ["sums"],
            group=3,
            strides=[scale, scale],
            pads=[radius * scale] * 2 + [radius * scale + scale - 1] * 2,
        ),
        helper.make_node("Transpose", ["sums"], ["mixed"], perm=[0, 2, 3, 1]),
        *_wrapped("mixed", pixels),
    ]
    constants = [*_level_constants(pixels), numpy_helper.from_array(kernel, "kernel")]
    facts = manifest(
        "degrading",
        scale=scale,
        pixels=pixels,
        halo=radius,
        direction="down",
        noise="map",
        size_multiple=multiple,
    )
    return graph_of(nodes, constants, facts)


def degrading(hr: NDArray[Any], noise: NDArray[np.float32], scale: int, *, radius: int = 1) -> NDArray[Any]:
    """What degrading_graph answers for one uint8 or uint16 image [H,W,3] and its noise [H,W,1], in whole numbers."""
    levels = np.iinfo(hr.dtype).max + 1
    noisy = (hr.astype(np.int64) + _whole(noise, levels)) % levels
    height, width = (-(-side // scale) for side in hr.shape[:2])
    margin = radius * scale
    padded = np.pad(noisy, [(margin, margin + scale - 1), (margin, margin + scale - 1), (0, 0)])
    sums = np.zeros((height, width, 3), np.int64)
    for (row, column), weight in np.ndenumerate(_tap_weights(scale * (2 * radius + 1))):
        sums += weight * padded[row::scale, column::scale][:height, :width]
    return (sums % levels).astype(hr.dtype)


def degrading_once_graph(scale: int) -> onnx.ModelProto:
    """HR pictures of FIXED_HR_SIDE only: every scale-th pixel, plus the numbers of the noise vector in turn."""
    side = FIXED_HR_SIDE // scale
    rows = NOISE_LENGTH // side
    nodes = [
        helper.make_node("Reshape", ["noise", "as_map"], ["few"]),
        helper.make_node("Tile", ["few", "times"], ["map"]),
        helper.make_node("Slice", ["hr", "from", "to", "axes", "steps"], ["kept"]),
        *_noisy_levels("map", "uint8", picture="kept"),
        *_wrapped("noisy", "uint8"),
    ]
    integers = {
        "as_map": [-1, min(rows, side), side, 1],
        "times": [1, -(-side // rows), 1, 1],
        "from": [0, 0],
        "to": [FIXED_HR_SIDE, FIXED_HR_SIDE],
        "axes": [1, 2],
        "steps": [scale, scale],
    }
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in integers.items()]
    facts = manifest("degrading-once", scale=scale, direction="down", noise="vector", fixed_size=(side, side))
    return graph_of(nodes, [*constants, *_level_constants("uint8")], facts)


def degrading_once(hr: NDArray[Any], noise: NDArray[np.float32], scale: int) -> NDArray[Any]:
    """What degrading_once_graph answers for one uint8 image and NOISE_LENGTH numbers."""
    kept = hr[::scale, ::scale].astype(np.int64)
    numbers = np.resize(_whole(noise, 256), kept.shape[:2])
    return ((kept + numbers[..., None]) % 256).astype(np.uint8)


def oriented_graph(scale: int, pixels: Pixels = "uint8") -> onnx.ModelProto:
    kernel = np.zeros((3, 1, 3, 3), np.float32)
    kernel[:, 0] = [[0, 1, 0], [2, 1, 0], [0, 0, 0]]
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["sums"], group=3, pads=[1] * 4),
        helper.make_node("Transpose", ["sums"], ["mixed"], perm=[0, 2, 3, 1]),
        helper.make_node("Div", ["mixed", "five"], ["means"]),
        *([helper.make_node("Round", ["means"], ["rounded"])] if pixels == "uint8" else []),
        helper.make_node("Cast", ["rounded" if pixels == "uint8" else "means"], ["small"], to=ELEMENT[pixels]),
        enlarge("small", scale),
    ]
    constants = [numpy_helper.from_array(kernel, "kernel"), constant("five", 5.0), scales(scale)]
    return graph_of(nodes, constants, manifest("oriented", scale=scale, pixels=pixels, halo=1))


def fifths(image: NDArray[Any]) -> NDArray[np.int64]:
    """Five times what oriented_graph makes of one image [H,W,C], before it is enlarged, in whole numbers."""
    padded = np.pad(image.astype(np.int64), [(1, 0), (1, 0), (0, 0)])
    return 2 * padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]


def oriented(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """What oriented_graph answers for one image of multiples of 8."""
    return nearest(np.rint(fifths(image) / 5).astype(image.dtype), scale)


def oriented_ensemble(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """The mean of its answers to the 8 orientations of one image of multiples of 8, each turned back; rounded once."""
    total = np.zeros(image.shape, np.int64)
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
            back = np.rot90(fifths(turned), -turns)
            total += back[:, ::-1] if mirrored else back
    return nearest(np.rint(total / 40).astype(image.dtype), scale)


def clip(frames: NDArray[Any], scale: int) -> NDArray[Any]:
    """What clip_graph answers for one window [3,H,W,C] of uint8 or uint16."""
    sums = np.tensordot(np.array([1, 2, 4]), frames.astype(np.int64), axes=1)
    return nearest((sums // 7).astype(frames.dtype), scale)


def blocks(image: NDArray[Any], scale: int, multiple: int) -> NDArray[Any]:
    """What blocks_graph answers for one image [H,W,C]."""
    height, width, channels = image.shape
    down, right = -height % multiple, -width % multiple
    padded = np.pad(image, [(0, down), (0, right), (0, 0)])
    cells = padded.reshape((height + down) // multiple, multiple, (width + right) // multiple, multiple, channels)
    return nearest(nearest(cells.max(axis=(1, 3)), multiple)[:height, :width], scale)


def _tap_weights(side: int) -> NDArray[np.int64]:
    """1 or 3, in a pattern that is no shifted, turned or mirrored one of itself. Odd, so no bit is lost modulo 2**n."""
    rows, columns = np.indices((side, side))
    return np.where((3 * rows + 5 * columns + rows * columns) % 7 < 3, 3, 1)


def _whole(noise: NDArray[np.float32], levels: int) -> NDArray[np.int64]:
    return np.floor(noise.astype(np.float64) * NOISE_SCALE).astype(np.int64) % levels


def _noisy_levels(noise: str, pixels: Pixels, *, picture: str = "hr") -> list[onnx.NodeProto]:
    """`noisy`: float32 [N,H,W,3], the levels of `picture` plus the whole numbers of `noise`, wrapped."""
    return [
        helper.make_node("Cast", [noise], ["double"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["double", "noise_scale"], ["large"]),
        helper.make_node("Floor", ["large"], ["floor"]),
        helper.make_node("Cast", ["floor"], ["integers"], to=TensorProto.INT64),
        helper.make_node("Cast", [picture], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "level"], ["levelled"]),
        helper.make_node("Round", ["levelled"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["whole", "integers"], ["sum"]),
        helper.make_node("Mod", ["sum", "levels"], ["remainder"]),
        helper.make_node("Cast", ["remainder"], ["noisy"], to=TensorProto.FLOAT),
    ]


def _wrapped(name: str, pixels: Pixels) -> list[onnx.NodeProto]:
    """`lr`: the whole numbers of `name` modulo the number of levels, as pixels."""
    return [
        helper.make_node("Cast", [name], ["total"], to=TensorProto.INT64),
        helper.make_node("Mod", ["total", "levels"], ["wrapped"]),
        helper.make_node("Cast", ["wrapped"], ["wrapped_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["wrapped_float", "level"], ["unlevelled"]),
        helper.make_node("Cast", ["unlevelled"], ["lr"], to=ELEMENT[pixels]),
    ]


def _level_constants(pixels: Pixels) -> list[onnx.TensorProto]:
    return [
        constant("level", 65535.0 if pixels == "float32" else 1.0),
        numpy_helper.from_array(np.array(_LEVELS[pixels], np.int64), "levels"),
        numpy_helper.from_array(np.array(NOISE_SCALE, np.float64), "noise_scale"),
    ]
