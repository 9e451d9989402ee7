"""A session answers what the graph says, refuses what breaks the contract, and turns ORT's errors into ours."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from onnx import TensorProto, helper

from service.errors import InferenceFailed, ModelOutputInvalid, OutOfMemory, StoreError
from service.sessions import Session, WeightDigests
from tests import oracles

Change = Callable[[onnx.ModelProto], object]


def open_graph(folder: Path, proto: onnx.ModelProto, *, scale: int = 2) -> Session:
    return Session.open(oracles.save_graph(folder, "nearest", scale, proto), device="cpu", threads=1)


def pixels(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 250, shape, np.uint8)


def test_every_image_of_a_batch_gets_its_own_answer(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.nearest_graph(3), scale=3)
    lr = pixels(3, 5, 7, 3)
    sr = session.run(lr)
    assert sr.dtype == np.uint8
    assert all(np.array_equal(sr[i], oracles.nearest(lr[i], 3)) for i in range(3))


def test_a_float_graph_keeps_float_pixels(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.nearest_graph(2, "float32"))
    lr = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    assert np.array_equal(session.run(lr)[0], oracles.nearest(lr[0], 2))


def test_frame_windows_are_one_axis_more(tmp_path: Path) -> None:
    session = open_graph(tmp_path, middle_frame_graph())
    lr = pixels(2, 3, 6, 8, 3)
    assert np.array_equal(session.run(lr)[1], oracles.nearest(lr[1, 1], 2))
    session.warm_up()


def middle_frame_graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["lr", "one"], ["middle"], axis=1),
        helper.make_node("Resize", ["middle", "", "scales"], ["sr"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ]  # fmt: skip
    proto = oracles.nearest_graph(2)
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
    proto.graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [], [1]))
    proto.graph.input[0].type.tensor_type.shape.dim.insert(1, onnx.TensorShapeProto.Dimension(dim_param="d"))
    return oracles.set_manifest(proto, oracles.manifest("nearest", scale=2, input="frames", frame_window=3))


def test_a_session_says_what_it_is(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "blur", 2, oracles.blur_graph(2))
    session = Session.open(path, device="cpu", threads=1)
    assert session.path == path
    assert session.manifest.halo == oracles.BLUR_RADIUS
    assert session.device == "cpu"
    assert session.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# --- answers


def test_a_run_that_fails_is_our_error_with_the_cause_chained(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.poison_graph())
    with pytest.raises(InferenceFailed, match=r"model nearest at scale 2 could not be run .*\[1, 4, 4, 3\]") as caught:
        session.run(np.full((1, 4, 4, 3), oracles.POISON, np.uint8))
    assert "out of data bounds" in str(caught.value.__cause__)
    assert "bounds" not in caught.value.detail  # the caller learns nothing of the inside
    assert session.run(pixels(1, 4, 4, 3)).shape == (1, 8, 8, 3)  # and the session goes on


@pytest.mark.parametrize(
    "lr", [np.zeros((1, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)], ids=["type", "rank"]
)
def test_a_batch_of_the_wrong_kind_is_our_error(
    tmp_path: Path, lr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    with pytest.raises(InferenceFailed):
        open_graph(tmp_path, oracles.nearest_graph(2)).run(lr)


def test_not_a_number_is_an_error_and_never_a_black_picture(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.not_a_number_graph())
    lr = np.zeros((2, 4, 4, 3), np.float32)
    session.run(lr)
    lr[1, 2, 2, 0] = oracles.FLOAT_MARKER
    with pytest.raises(ModelOutputInvalid, match="not numbers"):
        session.run(lr)


def test_an_infinite_answer_is_an_error(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.nearest_graph(2, "float32"))
    with pytest.raises(ModelOutputInvalid, match="not numbers"):
        session.run(np.full((1, 2, 2, 3), np.inf, np.float32))


def test_an_answer_of_another_size_is_an_error(tmp_path: Path) -> None:
    facts = oracles.manifest("nearest", scale=3)
    session = open_graph(tmp_path, oracles.set_manifest(oracles.nearest_graph(2), facts), scale=3)
    with pytest.raises(ModelOutputInvalid, match=r"\[1, 8, 8, 3\] where \[1, 12, 12, 3\] was due"):
        session.run(pixels(1, 4, 4, 3))
    with pytest.raises(StoreError, match=r"x3\.onnx: its first run failed: .* was due.*Cure: export"):
        session.warm_up()


def test_warming_up_finds_a_size_that_was_baked_in(tmp_path: Path) -> None:
    proto = oracles.nearest_graph(2)
    proto.graph.node[0].output[0] = "large"
    proto.graph.node.extend(
        [
            helper.make_node("Cast", ["lr"], ["numbers"], to=TensorProto.INT64),
            helper.make_node("ReduceMin", ["numbers"], ["least"], keepdims=0),
            helper.make_node("Sub", ["least", "least"], ["nothing"]),
            helper.make_node("Add", ["baked", "nothing"], ["shape"]),  # no shape inference sees through this
            helper.make_node("Reshape", ["large", "shape"], ["sr"]),
        ]
    )
    proto.graph.initializer.append(helper.make_tensor("baked", TensorProto.INT64, [4], [-1, 32, 48, 3]))
    session = open_graph(tmp_path, proto)
    session.run(pixels(1, 16, 24, 3))
    with pytest.raises(StoreError, match=r"first run failed.*Cure: "):
        session.warm_up()


# --- weights


def test_weights_are_read_from_the_safetensors_file(tmp_path: Path) -> None:
    session = Session.open(oracles.save_weighted_graph(tmp_path, "mixed", 2), device="cpu", threads=1)
    lr = pixels(1, 4, 4, 3)
    assert np.array_equal(session.run(lr)[0], oracles.nearest(lr[0, ..., ::-1], 2))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = oracles.save_weighted_graph(tmp_path, "mixed", 2)
    (path.parent / "weights.safetensors").unlink()
    with pytest.raises(
        StoreError, match=r"x2\.onnx: .*field weights names .*weights\.safetensors, .*No such file.*Cure: put"
    ):
        Session.open(path, device="cpu")


def test_weights_that_are_a_folder_are_refused(tmp_path: Path) -> None:
    path = oracles.save_weighted_graph(tmp_path, "mixed", 2)
    (path.parent / "weights.safetensors").unlink()
    (path.parent / "weights.safetensors").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        Session.open(path, device="cpu")


def test_weights_with_one_bit_changed_are_refused(tmp_path: Path) -> None:
    path = oracles.save_weighted_graph(tmp_path, "mixed", 2)
    weights = path.parent / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    with pytest.raises(StoreError, match=rf"x2\.onnx: .*field weights_sha256 is .*{digest}.*Cure: restore"):
        Session.open(path, device="cpu")


def test_a_weights_file_is_read_once(tmp_path: Path) -> None:
    digests = WeightDigests()
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"abc")
    first = digests.sha256(weights)
    weights.unlink()
    assert digests.sha256(weights) == first == hashlib.sha256(b"abc").hexdigest()


# --- the contract on opening


def rename_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "image"


def rename_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = proto.graph.node[0].output[0] = "hr"


def add_input(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, [1]))


def fix_width(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 48


def fix_batch(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def drop_axis(proto: onnx.ModelProto) -> None:
    for value in (proto.graph.input[0], proto.graph.output[0]):
        del value.type.tensor_type.shape.dim[0]
    del proto.graph.initializer[:]
    proto.graph.initializer.append(helper.make_tensor("scales", TensorProto.FLOAT, [3], [2, 2, 1]))


def make_grey(proto: onnx.ModelProto) -> None:
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[3].dim_value = 1


def take_float(proto: onnx.ModelProto) -> None:
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def give_float(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].output[0] = "large"
    proto.graph.node.append(helper.make_node("Cast", ["large"], ["sr"], to=TensorProto.FLOAT))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, r"inputs are \['image'\], not just 'lr'"),
        (rename_output, r"outputs are \['hr'\], not just 'sr'"),
        (add_input, r"inputs are \['lr', 'noise'\]"),
        (fix_width, r"input 'lr' has shape .*axes \[2\] are fixed"),
        (fix_batch, r"input 'lr' has shape .*axes \[0\] are fixed"),
        (drop_axis, r"input 'lr' has shape .*not 4 axes"),
        (make_grey, r"input 'lr' has shape .*the last is 3"),
        (take_float, r"input 'lr' is tensor\(float\), but by the manifest's field pixels it is tensor\(uint8\)"),
        (give_float, r"output 'sr' is tensor\(float\), but .* tensor\(uint8\)"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(tmp_path: Path, change: Change, message: str) -> None:
    proto = oracles.nearest_graph(2)
    change(proto)
    with pytest.raises(StoreError, match=rf"x2\.onnx: the graph's {message}.*Cure: "):
        open_graph(tmp_path, proto)


def test_what_onnx_runtime_cannot_open_is_refused(tmp_path: Path) -> None:
    proto = oracles.nearest_graph(2)
    proto.graph.node[0].op_type = "Enlarge"
    with pytest.raises(StoreError, match=r"x2\.onnx: ONNX Runtime cannot open the graph \(.*Enlarge.*Cure: "):
        open_graph(tmp_path, proto)


# --- devices


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
def test_cuda_is_refused_where_onnx_runtime_has_none(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2))
    with pytest.raises(StoreError, match=r"built without CUDA.*Cure: install the extra 'gpu'"):
        Session.open(path, device="cuda")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider':UserWarning")
def test_a_silent_fall_back_to_the_cpu_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # As onnxruntime-gpu on a machine without a driver: CUDA is listed, the session is made, and runs on the CPU.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcublas.so.13"))
    path = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2))
    with pytest.raises(StoreError, match=r"fell back to 'cpu'.*Cure: install the NVIDIA driver"):
        Session.open(path, device="cuda")
    assert Session.open(path, device="auto").device == "cpu"
    assert capfd.readouterr().out == ""  # stdout is for the service's own log


def test_memory_is_that_of_the_largest_image_and_not_of_all_sizes_together(tmp_path: Path) -> None:
    session = open_graph(tmp_path, oracles.blur_graph(2, 1))
    session.run(pixels(1, 100, 100, 3))
    process = psutil.Process()
    before = process.memory_info().rss
    for side in range(100, 300, 5):
        session.run(pixels(1, side, side, 3))
    grown = process.memory_info().rss - before
    assert grown < 16 << 20  # the largest needs 4 MB; an arena that grows by what is requested took 40 MB


# --- on one thread, or on all


def test_on_the_callers_thread_alone_the_answer_is_the_same_and_no_threads_are_started(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "blur", 2, oracles.blur_graph(2))
    session = Session.open(path, device="cpu", threads=3)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), np.uint8)
    before = psutil.Process().num_threads()
    alone = session.run(pixels, spread=False)
    assert psutil.Process().num_threads() == before
    assert np.array_equal(alone, session.run(pixels))
    assert np.array_equal(alone[0], oracles.blur(pixels[0], 2))


def test_a_run_that_wants_too_much_memory_says_so(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "hungry", 2, oracles.hungry_graph(enough_for=64))
    session = Session.open(path, device="cpu", threads=1)
    assert session.run(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 16, 16, 3)
    with pytest.raises(OutOfMemory):
        session.run(np.zeros((1, 8, 9, 3), np.uint8))
