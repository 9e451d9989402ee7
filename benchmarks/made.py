"""A network made for benchmarks of what is around a network: its answer is nearest neighbour, its work is chosen.

The work is a stack of convolutions of which nothing is left (their output is clipped to 0 and added), so that every
answer is known exactly, at any speed.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.manifest import METADATA_KEY, Manifest

CHANNELS = 32
MADE = "made"
SCALE = 2


def make_store(folder: Path, *, layers: int) -> int:
    """A store with the model `made` at x2, of so many layers of work; returns multiply-accumulates per LR pixel."""
    weights, nodes = [], []
    name, work = "planes", 0
    for layer, (wide, narrow) in enumerate([(3, CHANNELS), *[(CHANNELS, CHANNELS)] * layers, (CHANNELS, 3)]):
        kernel = np.random.default_rng(layer).normal(0, (9 * wide) ** -0.5, (narrow, wide, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{layer}"))
        nodes.append(helper.make_node("Conv", [name, f"kernel{layer}"], [f"sum{layer}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"sum{layer}"], [f"plane{layer}"]))
        name, work = f"plane{layer}", work + kernel.size
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
            *nodes,
            helper.make_node("Clip", [name, "zero", "zero"], ["nothing"]),
            helper.make_node("Transpose", ["nothing"], ["laid"], perm=[0, 2, 3, 1]),
            helper.make_node("Cast", ["laid"], ["whole"], to=TensorProto.UINT8),
            helper.make_node("Add", ["lr", "whole"], ["same"]),
            helper.make_node(
                "Resize",
                ["same", "", "scales"],
                ["sr"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            ),
        ],
        MADE,
        [helper.make_tensor_value_info("lr", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("sr", TensorProto.UINT8, ["n", "sh", "sw", 3])],
        [
            *weights,
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
            numpy_helper.from_array(np.array([1, SCALE, SCALE, 1], np.float32), "scales"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(proto, {METADATA_KEY: _manifest(work).model_dump_json()})
    path = folder / MADE / f"x{SCALE}.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(proto.SerializeToString())
    onnx.checker.check_model(proto)
    return work


def _manifest(work: int) -> Manifest:
    return Manifest(
        manifest_version=1,
        model=MADE,
        family="made",
        scale=SCALE,
        input="rgb",
        pixels="uint8",
        halo=0,
        halo_exact=0,
        weights=None,
        weights_sha256=None,
        precision="fp32",
        parameters=0,
        macs_per_lr_pixel=work,
        psnr={},
        paper="",
        licence="Apache-2.0",
        sources=(),
        exporter={"benchmarks": "made"},
    )
