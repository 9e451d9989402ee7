"""Step 1, trace: a network becomes an ONNX graph from pixels to pixels, with free batch, height and width.

Two wrappers put everything between the pixels and the network into the graph, so that the service moves
bytes only: `BytePixels` (uint8, what is served) and `FloatPixels` (float32, for 16-bit images and the
self-ensemble).
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import onnx
import torch
from torch import Tensor, nn

from export.errors import TraceFailed

OPSET = 18  # the newest that every operator of the planned families has a CUDA kernel for (GridSample wants 16 to 18)
LEAST_SIZE = 4  # what the tracer is told of height and width; see `trace`
WRAPPED = "network."  # how the wrappers prefix the network's tensor names

Pixels = Literal["uint8", "float32"]


class BytePixels(nn.Module):
    """uint8 [N, H, W, 3] in [0, 255] to uint8 [N, s*H, s*W, 3]: clamped, then rounded half to even."""

    def __init__(self, network: nn.Module, value_range: float) -> None:
        super().__init__()
        self.network = network
        self.gain = value_range / 255.0

    def forward(self, lr: Tensor) -> Tensor:
        # Transposed while a pixel is one byte, here and at the end: a quarter of the memory traffic.
        values = lr.permute(0, 3, 1, 2).to(torch.float32)
        if self.gain != 1.0:
            values = values * self.gain
        sr: Tensor = self.network(values)
        if self.gain != 1.0:
            sr = sr / self.gain
        return sr.clamp(0.0, 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


class FloatPixels(nn.Module):
    """float32 [N, H, W, 3] in [0, 1] to float32 [N, s*H, s*W, 3], NOT clamped.

    A self-ensemble averages eight answers before it clamps and rounds (Lim et al. 2017, section 3.4);
    clamping each would pull the average inward. Whoever turns the answer into integers clamps it.
    """

    def __init__(self, network: nn.Module, value_range: float) -> None:
        super().__init__()
        self.network = network
        self.value_range = value_range

    def forward(self, lr: Tensor) -> Tensor:
        values = lr.permute(0, 3, 1, 2)
        if self.value_range != 1.0:
            values = values * self.value_range
        sr: Tensor = self.network(values)
        if self.value_range != 1.0:
            sr = sr / self.value_range
        return sr.permute(0, 2, 3, 1)


def with_pixels(network: nn.Module, *, value_range: float, pixels: Pixels) -> nn.Module:
    """The network behind the graph contract's pixels, in eval mode; `network` works in [0, `value_range`]."""
    wrapper = BytePixels if pixels == "uint8" else FloatPixels
    return wrapper(network, value_range).eval()


def trace(module: nn.Module, *, pixels: Pixels, scale: int, name: str) -> onnx.ModelProto:
    """Traces a module from `with_pixels`; the weights are still inside, named as in its state dict.

    The result depends on the module alone: equal modules give equal bytes.

    Raises:
        TraceFailed: the graph does not keep the contract (see `check_contract`).
    """
    # No size is 1, equal to another, or a likely constant of a network, so nothing can be specialised on it. The
    # least size tells the tracer that a slice of 3 pixels has 3. A graph's slice has what is there, so the graph is
    # right for smaller sizes too, and `export.parity` runs it there.
    sample = torch.zeros(2, 22, 29, 3, dtype=torch.uint8 if pixels == "uint8" else torch.float32)
    free = torch.export.Dim
    with torch.no_grad(), _quiet():
        try:
            program = torch.onnx.export(
                module,
                (sample,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["lr"],
                output_names=["sr"],
                dynamic_shapes=({0: free("N"), 1: free("H", min=LEAST_SIZE), 2: free("W", min=LEAST_SIZE)},),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise TraceFailed(f"{name}: cannot be traced: {error}") from error
    if program is None:
        raise TraceFailed(f"{name}: the exporter returned no graph")
    proto = program.model_proto
    _strip(proto, name)
    check_contract(proto, pixels=pixels, scale=scale)
    return proto


def check_contract(proto: onnx.ModelProto, *, pixels: Pixels, scale: int) -> None:
    """Checks what can be seen without running the graph; `export.parity` runs it, at many shapes.

    Raises:
        TraceFailed: names, element types or sizes of `lr` and `sr`, the opset, or a pixel shuffle that reads its
            channels in TensorFlow's order (DCR), which would scramble colours.
    """
    element = onnx.TensorProto.UINT8 if pixels == "uint8" else onnx.TensorProto.FLOAT
    expected = {
        "lr": (element, ("N", "H", "W", 3)),
        "sr": (element, ("N", f"{scale}*H", f"{scale}*W", 3)),
    }
    found = {
        value.name: (value.type.tensor_type.elem_type, _sizes(value))
        for value in [*proto.graph.input, *proto.graph.output]
    }
    if found != expected:
        raise TraceFailed(f"{proto.graph.name}: inputs and outputs are {found}, not {expected}")
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    if opsets != {"": OPSET} or proto.functions:
        raise TraceFailed(f"{proto.graph.name}: opsets are {opsets}, not the plain ONNX opset {OPSET}")
    for node in proto.graph.node:
        mode = {attribute.name: attribute.s for attribute in node.attribute}.get("mode")
        if node.op_type == "DepthToSpace" and mode != b"CRD":
            raise TraceFailed(f"{proto.graph.name}: {node.name} is DepthToSpace of mode {mode!r}, not CRD")


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _strip(proto: onnx.ModelProto, name: str) -> None:
    """Removes what only describes the tracing: stack traces with source paths, inferred shapes, tool versions.

    They are most of the file, differ between machines, and ONNX Runtime infers the shapes itself.
    """
    graph = proto.graph
    for holder in [proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")
    graph.ClearField("value_info")
    graph.name = name
    proto.producer_name, proto.producer_version = "srserve", ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what the exporter says about packages that are not used here, and nothing else."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            yield
    finally:
        log.setLevel(level)
