"""Exact oracles: tiny real ONNX graphs whose answer is known bit for bit, and the same answers in numpy.

- nearest: every LR pixel becomes scale x scale equal SR pixels; halo 0. A misplaced, swapped or missing tile
  shows.
- blur: a box blur of known radius over a zero border, then nearest; halo = radius. Too little context shows
  at every seam, and a tile that was padded where the image goes on shows at its border.
- poison: nearest, but the whole run fails when any pixel of the batch has the marker value.
- not_a_number: nearest for float32, but NaN wherever a pixel has the marker value.
- hungry: nearest, but a run on more than so many pixels asks for more memory than any machine has.

Graphs of other kinds than one picture in, a larger one out: tests/oracle_kinds.py.

All sums are of whole numbers below 2**24, so float32 holds them exactly in any order of summation.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import safetensors.numpy
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.manifest import METADATA_KEY, NOISE_LENGTH, Manifest

Pixels = Literal["uint8", "float32"]
BLUR_RADIUS = 5
POISON = 251  # the marker value of poison_graph
FLOAT_MARKER = 1.0  # the marker value of not_a_number_graph: white

_OPSET = 18
_IR_VERSION = 10
ELEMENT = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def nearest_graph(scale: int, pixels: Pixels = "uint8") -> onnx.ModelProto:
    """Nearest neighbour: sr[s*y + i, s*x + j] = lr[y, x]."""
    return graph_of([enlarge("lr", scale)], [scales(scale)], manifest("nearest", scale=scale, pixels=pixels))


def blur_graph(scale: int, radius: int = BLUR_RADIUS, pixels: Pixels = "uint8") -> onnx.ModelProto:
    """Mean over (2*radius + 1)**2 pixels, zeros outside the image, rounded down; then nearest neighbour.

    float32 pixels are taken as 16-bit levels (value * 65535), so this graph is exact too; radius at most 7.
    """
    if pixels == "float32" and radius > 7:
        raise ValueError("above radius 7 the sums of 16-bit levels are no longer exact in float32")
    side = 2 * radius + 1
    levels = constant("levels", 65535.0 if pixels == "float32" else 1.0)
    kernel = numpy_helper.from_array(np.ones((3, 1, side, side), np.float32), "kernel")
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "levels"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["whole"]),
        helper.make_node("Transpose", ["whole"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["sums"], group=3, pads=[radius] * 4),
        helper.make_node("Div", ["sums", "area"], ["means"]),
        helper.make_node("Floor", ["means"], ["floored"]),
        helper.make_node("Transpose", ["floored"], ["blurred"], perm=[0, 2, 3, 1]),
        helper.make_node("Div", ["blurred", "levels"], ["unscaled"]),
        helper.make_node("Cast", ["unscaled"], ["small"], to=ELEMENT[pixels]),
        enlarge("small", scale),
    ]
    constants = [levels, kernel, constant("area", float(side * side)), scales(scale)]
    return graph_of(nodes, constants, manifest("blur", scale=scale, pixels=pixels, halo=radius))


def poison_graph(scale: int = 2, marker: int = POISON) -> onnx.ModelProto:
    """nearest_graph, but a batch with one pixel equal to `marker` fails as a whole: an index out of range."""
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.INT64),
        helper.make_node("Equal", ["numbers", "marker"], ["marked"]),
        helper.make_node("Cast", ["marked"], ["counts"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["counts"], ["any"], keepdims=0),
        helper.make_node("Gather", ["zero", "any"], ["nothing"]),  # `zero` has the one element 0
        helper.make_node("Add", ["numbers", "nothing"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["small"], to=TensorProto.UINT8),
        enlarge("small", scale),
    ]
    constants = [
        numpy_helper.from_array(np.array(marker, np.int64), "marker"),
        numpy_helper.from_array(np.zeros(1, np.int64), "zero"),
        scales(scale),
    ]
    return graph_of(nodes, constants, manifest("poison", scale=scale))


def not_a_number_graph(scale: int = 2) -> onnx.ModelProto:
    """nearest_graph for float32, but a pixel equal to FLOAT_MARKER comes out as NaN."""
    nodes = [
        helper.make_node("Sub", ["marker", "lr"], ["distance"]),
        helper.make_node("Div", ["zero", "distance"], ["nothing"]),  # 0 / 0 at the marker, else 0
        helper.make_node("Add", ["lr", "nothing"], ["small"]),
        enlarge("small", scale),
    ]
    constants = [constant("marker", FLOAT_MARKER), constant("zero", 0.0), scales(scale)]
    return graph_of(nodes, constants, manifest("nan", scale=scale, pixels="float32"))


def hungry_graph(scale: int = 2, *, enough_for: int) -> onnx.ModelProto:
    """nearest_graph, but a batch of more than `enough_for` LR pixels wants 2**54 bytes for itself."""
    nodes = [
        helper.make_node("Size", ["lr"], ["numbers"]),
        helper.make_node("Greater", ["numbers", "enough"], ["is_much"]),
        helper.make_node("Cast", ["is_much"], ["much"], to=TensorProto.INT64),
        helper.make_node("Mul", ["much", "huge"], ["more"]),
        helper.make_node("Add", ["more", "one"], ["length"]),
        helper.make_node("ConstantOfShape", ["length"], ["zeros"]),  # float32
        helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Cast", ["zero"], ["nothing"], to=TensorProto.UINT8),
        helper.make_node("Add", ["lr", "nothing"], ["small"]),
        enlarge("small", scale),
    ]
    constants = [
        numpy_helper.from_array(np.array(3 * enough_for, np.int64), "enough"),
        numpy_helper.from_array(np.array([2**52], np.int64), "huge"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        scales(scale),
    ]
    return graph_of(nodes, constants, manifest("hungry", scale=scale))


def manifest(model: str, *, scale: int, pixels: Pixels = "uint8", halo: int = 0, **changes: Any) -> Manifest:  # noqa: ANN401 - any field
    """A valid manifest of a self-contained graph; `changes` sets any other field."""
    facts: dict[str, Any] = {
        "manifest_version": 1,
        "model": model,
        "family": "oracle",
        "scale": scale,
        "input": "rgb",
        "pixels": pixels,
        "halo": halo,
        "halo_exact": halo,
        "weights": None,
        "weights_sha256": None,
        "precision": "fp32",
        "parameters": 0,
        "macs_per_lr_pixel": 0,
        "psnr": {},
        "paper": "",
        "licence": "Apache-2.0",
        "sources": (),
        "exporter": {"tests": "oracles"},
    }
    return Manifest(**facts | changes)


def set_manifest(proto: onnx.ModelProto, facts: Manifest) -> onnx.ModelProto:
    """Replaces the manifest of `proto` and returns it."""
    del proto.metadata_props[:]
    helper.set_model_props(proto, {METADATA_KEY: facts.model_dump_json()})
    return proto


def get_manifest(proto: onnx.ModelProto) -> Manifest:
    return Manifest.model_validate_json({p.key: p.value for p in proto.metadata_props}[METADATA_KEY])


def save_graph(store: Path, model: str, scale: int, proto: onnx.ModelProto) -> Path:
    """Writes the graph where the registry looks for it, its manifest naming `model`; returns the path."""
    facts = get_manifest(proto)
    set_manifest(proto, facts.model_copy(update={"model": model}))
    folder = store / model
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"x{scale}.onnx" if facts.pixels == "uint8" else f"x{scale}.float32.onnx")
    path.write_bytes(proto.SerializeToString())
    return path


def make_store(path: Path) -> Path:
    """A store with `nearest` (x2, x3, x4, each with its float32 twin) and `blur` (x2, BLUR_RADIUS, no twin).

    Returns `path`.
    """
    for scale in (2, 3, 4):
        save_graph(path, "nearest", scale, nearest_graph(scale))
        save_graph(path, "nearest", scale, nearest_graph(scale, "float32"))
    save_graph(path, "blur", 2, blur_graph(2))
    return path


def save_weighted_graph(store: Path, model: str, scale: int, pixels: Pixels = "uint8") -> Path:
    """nearest with its channels reversed by a 3x3 matrix that lies in store/<model>/weights.safetensors.

    Graphs of one model share that file, as exported graphs do. Returns the graph's path.
    """
    weights = store / model / "weights.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    if not weights.exists():
        mixing = np.fliplr(np.eye(3, dtype=np.float32))
        weights.write_bytes(safetensors.numpy.save({"mixing": np.ascontiguousarray(mixing)}))
    content = weights.read_bytes()
    mixing_proto = TensorProto(name="mixing", data_type=TensorProto.FLOAT, dims=[3, 3])
    mixing_proto.data_location = TensorProto.EXTERNAL
    place = {"location": weights.name, "offset": str(len(content) - 36), "length": "36"}
    for key, value in place.items():
        mixing_proto.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "mixing"], ["mixed"]),
        helper.make_node("Cast", ["mixed"], ["small"], to=ELEMENT[pixels]),
        enlarge("small", scale),
    ]
    digest = hashlib.sha256(content).hexdigest()
    facts = manifest(model, scale=scale, pixels=pixels, weights=weights.name, weights_sha256=digest)
    return save_graph(store, model, scale, graph_of(nodes, [mixing_proto, scales(scale)], facts))


def nearest(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """What nearest_graph answers for one image [H,W,...], in numpy."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def blur(image: NDArray[Any], scale: int, radius: int = BLUR_RADIUS) -> NDArray[Any]:
    """What blur_graph answers for one uint8 or uint16 image [H,W,C], in numpy and whole numbers."""
    height, width = image.shape[:2]
    padded = np.pad(image.astype(np.int64), [(radius, radius), (radius, radius), (0, 0)])
    rows = np.zeros_like(padded[:height])
    for top in range(2 * radius + 1):
        rows += padded[top : top + height]
    sums = np.zeros_like(rows[:, :width])
    for left in range(2 * radius + 1):
        sums += rows[:, left : left + width]
    return nearest((sums // (2 * radius + 1) ** 2).astype(image.dtype), scale)


def enlarge(name: str, scale: int) -> onnx.NodeProto:
    """`sr`: nearest neighbour of `name`; its factors are the constant `scales`."""
    return helper.make_node(
        "Resize",
        [name, "", "scales"],
        ["sr"],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        name=f"enlarge_x{scale}",
    )


def scales(scale: int) -> onnx.TensorProto:
    """The factors of `enlarge`."""
    return numpy_helper.from_array(np.array([1, scale, scale, 1], np.float32), "scales")


def constant(name: str, value: float) -> onnx.TensorProto:
    """A float32 scalar."""
    return numpy_helper.from_array(np.array(value, np.float32), name)


def graph_of(
    nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto], facts: Manifest
) -> onnx.ModelProto:
    """A graph whose inputs and output are those that `facts` say, with axes as free as they may be."""
    element = ELEMENT[facts.pixels]
    window: list[Any] = [facts.frame_window] if facts.input == "frames" else []
    inputs = [helper.make_tensor_value_info(facts.input_name, element, ["n", *window, "h", "w", 3])]
    if facts.noise != "none":
        shape: list[Any] = ["n", NOISE_LENGTH] if facts.noise == "vector" else ["n", "h", "w", 1]
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        facts.model,
        inputs,
        [helper.make_tensor_value_info(facts.output_name, element, ["n", "sh", "sw", 3])],
        constants,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="srserve-tests",
    )
    return set_manifest(proto, facts)
