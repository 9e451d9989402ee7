"""Step 2, trace: a network behind its pixels becomes an ONNX graph with a free batch and, unless fixed, free sizes."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from export.contract import Value, graph_inputs, graph_output
from export.errors import TraceFailed
from export.simplify import simplify
from service.manifest import Manifest

OPSET = 18  # the newest that every operator of the families has a CUDA kernel for (GridSample wants 16 to 18)
LEAST_SIZE = 4  # what the tracer is told of height and width; see `trace`
# No size is 1, equal to another, or a likely constant of a network, so nothing can be specialised on it.
SAMPLE_SIZES = {"N": 2, "H": 22, "W": 29}


def trace(module: nn.Module, facts: Manifest) -> onnx.ModelProto:
    """Traces a module from `with_pixels`; the weights are still inside, named as in its state dict.

    `facts` says what goes in and comes out; it is not written into the graph. The result depends on the two alone:
    equal modules give equal bytes.

    Raises:
        TraceFailed: the graph does not keep the contract (see `check_contract`).
    """
    name = f"{facts.model}-x{facts.scale}-{facts.pixels}"
    inputs = graph_inputs(facts)
    # A degradation's sizes are HR ones; its smallest maps would be one pixel.
    times = facts.scale if facts.direction == "down" else 1
    sizes = {axis: size if axis == "N" else size * times for axis, size in SAMPLE_SIZES.items()}
    # The least size tells the tracer that a slice of 3 pixels has 3. A graph's slice has what is there, so the graph is
    # right for smaller sizes too, and `export.parity` runs it there.
    axes = {"N": torch.export.Dim("N"), **{side: torch.export.Dim(side, min=LEAST_SIZE) for side in ("H", "W")}}
    with torch.no_grad(), _quiet():
        try:
            program = torch.onnx.export(
                module,
                tuple(value.zeros(sizes) for value in inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=[value.name for value in inputs],
                output_names=[facts.output_name],
                dynamic_shapes=tuple(
                    {position: axes[axis] for position, axis in value.free.items()} for value in inputs
                ),
                external_data=False,
                verbose=False,
                optimize=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise TraceFailed(f"{name}: cannot be traced: {error}") from error
        if program is None:
            raise TraceFailed(f"{name}: the exporter returned no graph")
        simplify(program.model)
    proto = program.model_proto
    _strip(proto, name)
    check_contract(proto, facts)
    return proto


def check_contract(proto: onnx.ModelProto, facts: Manifest) -> None:
    """Checks what can be seen without running the graph; `export.parity` runs it, at many shapes.

    Raises:
        TraceFailed: names, element types or axes of inputs and output, the opset, or a pixel shuffle that reads its
            channels in TensorFlow's order (DCR), which would scramble colours.
    """
    wanted = [_told(value) for value in (*graph_inputs(facts), graph_output(facts))]
    found = [
        (value.name, value.type.tensor_type.elem_type, _sizes(value))
        for value in [*proto.graph.input, *proto.graph.output]
    ]
    if found != wanted:
        raise TraceFailed(f"{proto.graph.name}: inputs and outputs are {found}, not {wanted}")
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    if opsets != {"": OPSET} or proto.functions:
        raise TraceFailed(f"{proto.graph.name}: opsets are {opsets}, not the plain ONNX opset {OPSET}")
    for node in proto.graph.node:
        mode = {attribute.name: attribute.s for attribute in node.attribute}.get("mode")
        if node.op_type == "DepthToSpace" and mode != b"CRD":
            raise TraceFailed(f"{proto.graph.name}: {node.name} is DepthToSpace of mode {mode!r}, not CRD")


def _told(value: Value) -> tuple[str, int, tuple[int | str, ...]]:
    return value.name, value.onnx_element, value.axes


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
    """Hides what the exporter says about packages that are not used here and about sizes that two inputs share."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            warnings.filterwarnings("ignore", category=UserWarning, message=".*shares the same shape constraints.*")
            yield
    finally:
        log.setLevel(level)
