"""Step 2, point: the graph's weights become references into the checkpoint's .safetensors file (ONNX external data).

PyTorch and ONNX Runtime then read one copy of the weights, and a graph is a few tens of kB. Tensors that
the export derived (a merged convolution, a reshaped mean, a constant) are in no checkpoint and stay in the graph.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import numpy_helper

from export.errors import WeightsMismatch

MAX_INLINE_BYTES = 64 * 1024  # more than all unnamed constants need: above it, weights were missed
ONNX_TYPES = {  # of safetensors' names
    "F32": onnx.TensorProto.FLOAT,
    "F16": onnx.TensorProto.FLOAT16,
    "BF16": onnx.TensorProto.BFLOAT16,
    "I64": onnx.TensorProto.INT64,
}


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies in a .safetensors file; `offset` counts bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Reads a .safetensors header: 8 bytes of little-endian header length, JSON, then the tensors' bytes.

    The file is trusted to be valid: `models.checkpoint.load_checkpoint` has read it before.
    """
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    start = 8 + header_bytes
    return {
        name: StoredTensor(
            dtype=entry["dtype"],
            shape=tuple(entry["shape"]),
            offset=start + entry["data_offsets"][0],
            length=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
    }


def point_into(proto: onnx.ModelProto, weights: Path, *, prefix: str = "", derived: Collection[str] = ()) -> int:
    """Replaces, in `proto`, every initialiser that is a tensor of `weights` by a reference; returns their number.

    An initialiser `prefix + name` is renamed to `name`, so that graph and checkpoint speak of tensors
    alike; so are those in `derived`, which may stand in the graph at any size because no checkpoint has them. The
    graph must lie in the folder of `weights` from then on.

    Raises:
        WeightsMismatch: a tensor of the same name has another type, shape or bit, or more than `MAX_INLINE_BYTES`
            of tensors are in no checkpoint.
    """
    stored = stored_tensors(weights)
    content = memoryview(weights.read_bytes())
    renamed: dict[str, str] = {}
    for tensor in proto.graph.initializer:
        name = tensor.name.removeprefix(prefix)
        if name in stored:
            place = stored[name]
            _check_equal(tensor, name, place, content[place.offset : place.offset + place.length])
            renamed[tensor.name] = name
            _refer(tensor, name, weights.name, place)
        elif name in derived:
            renamed[tensor.name] = tensor.name = name
    for node in proto.graph.node:
        for index, value in enumerate(node.input):
            node.input[index] = renamed.get(value, value)
    _check_inline(proto, derived)
    return sum(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer)


def _check_equal(tensor: onnx.TensorProto, name: str, place: StoredTensor, stored: memoryview) -> None:
    if tensor.data_type != ONNX_TYPES.get(place.dtype) or tuple(tensor.dims) != place.shape:
        raise WeightsMismatch(
            f"{name}: {onnx.TensorProto.DataType.Name(tensor.data_type)} {list(tensor.dims)} in the graph, "
            f"{place.dtype} {list(place.shape)} in the checkpoint"
        )
    if numpy_helper.to_array(tensor).tobytes() != stored:
        raise WeightsMismatch(f"{name}: the graph's values are not bit for bit those of the checkpoint")


def _refer(tensor: onnx.TensorProto, name: str, location: str, place: StoredTensor) -> None:
    data_type, dims = tensor.data_type, list(tensor.dims)
    tensor.Clear()
    tensor.name, tensor.data_type = name, data_type
    tensor.dims.extend(dims)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", place.offset), ("length", place.length)):
        tensor.external_data.add(key=key, value=str(value))


def _check_inline(proto: onnx.ModelProto, derived: Collection[str]) -> None:
    inline = {
        tensor.name: tensor.ByteSize()
        for tensor in proto.graph.initializer
        if tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.name not in derived
    }
    if sum(inline.values()) > MAX_INLINE_BYTES:
        largest = sorted(inline, key=lambda name: inline[name], reverse=True)[:5]
        raise WeightsMismatch(
            f"{sum(inline.values())} bytes of tensors would stand in the graph, more than {MAX_INLINE_BYTES}: "
            f"{', '.join(largest)} are not tensors of the checkpoint"
        )
