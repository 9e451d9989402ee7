"""A foreign ONNX file as one function of one picture: what it takes and gives, found in the file and by running it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its stubs are a package of their own
from onnx import version_converter

from export.errors import ForeignRefused
from export.surround import Channels, Layout
from export.trace import OPSET

Batch = npt.NDArray[np.float32]

TRIED_SIZES = ((16, 24), (33, 17), (1, 1), (47, 65))  # odd ones, small ones: a graph has to take whatever comes
_ELEMENTS: dict[int, str] = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True)
class ForeignGraph:
    """The graph, of which `proto` has the opset of our own, a free batch and its weights inside."""

    proto: onnx.ModelProto
    layout: Layout
    scale: int
    fixed_size: tuple[int, int] | None

    @property
    def input_name(self) -> str:
        """Of its one input that is no weight."""
        return str(_inputs(self.proto)[0].name)

    @property
    def output_name(self) -> str:
        """Of its one output."""
        return str(self.proto.graph.output[0].name)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return _open(self.proto)

    def run(self, values: Batch) -> Batch:
        """Its answer to values as it takes them, as the file came: what ours is compared with."""
        return _run(self._session, values, self.layout.element)

    def parameters(self) -> int:
        """Numbers in its weights."""
        return sum(int(np.prod(w.dims)) for w in self.proto.graph.initializer if w.data_type in _ELEMENTS)

    def macs_per_lr_pixel(self) -> int:
        """Multiply-adds of its convolutions and matrix products, for one LR pixel of a picture that it takes."""
        height, width = self.fixed_size or (48, 48)
        sized = onnx.ModelProto()
        sized.CopyFrom(self.proto)
        for dim, size in zip(_dims(_inputs(sized)[0]), self._axes(1, height, width), strict=True):
            dim.Clear()
            dim.dim_value = size
        inferred = onnx.shape_inference.infer_shapes(sized, data_prop=True)
        values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
        shapes = {value.name: tuple(dim.dim_value for dim in _dims(value)) for value in values}
        shapes |= {weight.name: tuple(weight.dims) for weight in inferred.graph.initializer}
        return sum(_macs(node, shapes) for node in inferred.graph.node) // (height * width)

    def _axes(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        count = 1 if self.layout.is_luma else 3
        return (batch, count, height, width) if self.layout.channels_first else (batch, height, width, count)


def read_foreign(path: Path, *, channels: Channels | None, value_range: float) -> ForeignGraph:
    """The graph in a file, its weights beside it or in it.

    Raises ForeignRefused, saying what is in the way and the cure, OSError for a file that cannot be read.
    """
    try:
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ForeignRefused(f"{path}: is no valid ONNX file ({_first_line(error)})") from error
    proto = _at_our_opset(proto, path)
    given, _ = _one_each(proto, path)
    layout = _layout(given, channels, value_range, path)
    _free_batch(proto)
    session = _open(proto)
    spatial = slice(2, 4) if layout.channels_first else slice(1, 3)
    sides = [dim.dim_value for dim in _dims(given)[spatial]]
    if any(sides) and not all(sides):
        raise ForeignRefused(f"{path}: one side of the picture is fixed and the other free ({sides}); free both")
    fixed = (sides[0], sides[1]) if all(sides) else None
    return ForeignGraph(proto, layout, _scale(session, layout, fixed, path), fixed)


def _at_our_opset(proto: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    if versions.get("", OPSET) == OPSET:
        return proto
    try:
        return version_converter.convert_version(proto, OPSET)
    except Exception as error:  # the converter's own errors have no type of their own
        raise ForeignRefused(
            f"{path}: opset {versions['']} cannot be converted to {OPSET} ({_first_line(error)}); export it with that"
        ) from error


def _one_each(proto: onnx.ModelProto, path: Path) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    inputs, outputs = _inputs(proto), list(proto.graph.output)
    names = [[value.name for value in values] for values in (inputs, outputs)]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ForeignRefused(f"{path}: takes {names[0]} and gives {names[1]}; one picture in and one out can be served")
    for value in (inputs[0], outputs[0]):
        kind = value.type.tensor_type
        if kind.elem_type not in _ELEMENTS or len(_dims(value)) != 4:
            element = onnx.TensorProto.DataType.Name(kind.elem_type)
            raise ForeignRefused(
                f"{path}: {value.name!r} is {element} of {len(_dims(value))} axes; a picture is FLOAT or FLOAT16 of 4, "
                f"[N,C,H,W] or [N,H,W,C]"
            )
    return inputs[0], outputs[0]


def _layout(given: onnx.ValueInfoProto, channels: Channels | None, value_range: float, path: Path) -> Layout:
    dims = [dim.dim_value for dim in _dims(given)]
    first, last = dims[1] in (1, 3), dims[3] in (1, 3)
    if first == last:
        raise ForeignRefused(f"{path}: {given.name!r} has the axes {dims}; which one is the channels' cannot be told")
    count = dims[1] if first else dims[3]
    if count == 1 and channels not in ("y", "y-full"):
        raise ForeignRefused(f"{path}: takes one channel; say --channels y (studio range) or y-full (JPEG's)")
    if count == 3 and channels not in (None, "rgb", "bgr"):
        raise ForeignRefused(f"{path}: takes three channels, which are not {channels}")
    element = given.type.tensor_type.elem_type
    return Layout(channels or "rgb", value_range, channels_first=first, element=element)


def _free_batch(proto: onnx.ModelProto) -> None:
    """Frees the first axis, which many exports fix at 1 without need; whether it is free is seen when it runs."""
    for value in (_inputs(proto)[0], proto.graph.output[0]):
        dim = _dims(value)[0]
        dim.Clear()
        dim.dim_param = "N"
    for dim in _dims(proto.graph.output[0])[1:]:
        dim.Clear()  # what is wrong in the file would only be warned of, at every run
    del proto.graph.value_info[:]


def _scale(session: onnxruntime.InferenceSession, layout: Layout, fixed: tuple[int, int] | None, path: Path) -> int:
    """How many times as large its answers are, seen at several sizes and with two pictures at once."""
    count = 1 if layout.is_luma else 3
    scales = set()
    for height, width in [fixed] if fixed else TRIED_SIZES:
        shape = (2, count, height, width) if layout.channels_first else (2, height, width, count)
        try:
            answer = _run(session, np.full(shape, 0.5 * layout.value_range, np.float32), layout.element)
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise ForeignRefused(
                f"{path}: cannot be run on 2 pictures of {height}x{width} ({_first_line(error)}); batch and sizes have "
                f"to be free, a network that needs multiples has to pad and crop by itself"
            ) from error
        sides = answer.shape[2:4] if layout.channels_first else answer.shape[1:3]
        found = {side / size for side, size in zip(sides, (height, width), strict=True)}
        channels = answer.shape[1] if layout.channels_first else answer.shape[3]
        if (
            len(answer.shape) != 4
            or answer.shape[0] != 2
            or channels != count
            or not all(s.is_integer() for s in found)
        ):
            raise ForeignRefused(f"{path}: makes {list(answer.shape)} of {list(shape)}, which is no enlarged picture")
        scales |= {int(scale) for scale in found}
    if len(scales) != 1 or not scales <= set(range(1, 17)):
        raise ForeignRefused(f"{path}: enlarges by {sorted(scales)}; one scale of 1 to 16 can be served")
    return scales.pop()


def _open(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, values: Batch, element: int) -> Batch:
    (answer,) = session.run(None, {session.get_inputs()[0].name: values.astype(_ELEMENTS[element])})
    return np.asarray(answer, np.float32)


def _inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {weight.name for weight in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in weights]


def _dims(value: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Of a convolution or a product; 0 where shape inference did not get so far."""
    known = [shapes.get(name, ()) for name in (*node.input[:2], *node.output[:1])]
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm") or not all(known):
        return 0
    given, weights, answer = known
    if node.op_type == "Conv":
        return int(np.prod(answer) * np.prod(weights[1:]))
    if node.op_type == "ConvTranspose":
        return int(np.prod(given) * np.prod(weights[1:]))
    return int(np.prod(answer) * given[-1])


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
