"""A graph refers to the checkpoint's own bytes, bit for bit, and is refused where they differ."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from export.errors import WeightsMismatch
from export.external import MAX_INLINE_BYTES, point_into, stored_tensors
from tests.export.examples import small_checkpoint

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def graph_of(**initialisers: np.ndarray) -> onnx.ModelProto:
    """y = x + each initialiser."""
    nodes, result = [], "x"
    for name in initialisers:
        nodes.append(helper.make_node("Add", [result, name], [f"with_{name}"]))
        result = f"with_{name}"
    graph = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in initialisers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "x2.safetensors"
    save_file({"a": torch.zeros(5), "head.weight": torch.from_numpy(WEIGHT)}, path, metadata={"format": "any"})
    return path


def test_every_tensor_is_found_where_it_lies_in_the_file(tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "x2.safetensors")
    content, places = path.read_bytes(), stored_tensors(path)
    tensors = load_file(path)
    assert places.keys() == tensors.keys()
    for name, tensor in tensors.items():
        place = places[name]
        assert content[place.offset : place.offset + place.length] == tensor.numpy().tobytes()
        assert place.shape == tuple(tensor.shape)


def test_a_graph_reads_its_weight_out_of_the_safetensors_file_under_its_name_there(weights: Path) -> None:
    proto = graph_of(**{"network.head.weight": WEIGHT, "derived": np.ones((), np.float32)})
    assert point_into(proto, weights, prefix="network.") == 1
    assert [tensor.name for tensor in proto.graph.initializer] == ["head.weight", "derived"]
    path = weights.with_name("graph.onnx")
    path.write_bytes(proto.SerializeToString())
    assert WEIGHT.tobytes() not in path.read_bytes()
    (answer,) = onnxruntime.InferenceSession(path).run(None, {"x": np.zeros((2, 3), np.float32)})
    assert np.array_equal(answer, WEIGHT + 1)


def test_one_bit_of_difference_is_refused(weights: Path) -> None:
    changed = WEIGHT.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    with pytest.raises(WeightsMismatch, match=r"head\.weight.*bit for bit"):
        point_into(graph_of(**{"head.weight": changed}), weights)


@pytest.mark.parametrize("other", [WEIGHT.reshape(3, 2), WEIGHT.astype(np.float16)], ids=["shape", "type"])
def test_another_shape_or_type_is_refused(weights: Path, other: np.ndarray) -> None:
    with pytest.raises(WeightsMismatch, match=r"head\.weight: FLOAT.* in the graph, F32 \[2, 3\] in the checkpoint"):
        point_into(graph_of(**{"head.weight": other}), weights)


def test_weights_that_are_in_no_checkpoint_are_refused(weights: Path) -> None:
    large = np.zeros((MAX_INLINE_BYTES // 4, 1), np.float32)
    with pytest.raises(WeightsMismatch, match="forgotten are not tensors of the checkpoint"):
        point_into(graph_of(**{"head.weight": WEIGHT, "forgotten": large}), weights)


def test_a_tensor_that_the_export_derived_may_stand_in_the_graph_at_any_size(weights: Path) -> None:
    large = np.zeros((MAX_INLINE_BYTES // 4, 3), np.float32)
    proto = graph_of(**{"network.head.weight": WEIGHT, "network.merged": large})
    assert point_into(proto, weights, prefix="network.", derived=("merged",)) == 1
    assert [tensor.name for tensor in proto.graph.initializer] == ["head.weight", "merged"]
    assert proto.graph.node[1].input[1] == "merged"
