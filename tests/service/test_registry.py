"""The registry serves what lies in the store, and stops with file, field and cure where the store is wrong."""

import hashlib
import shutil
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.errors import EnsembleUnsupported, FloatUnsupported, StoreError, UnknownModel, UnsupportedScale
from service.registry import Registry
from tests import oracle_kinds, oracles


def open_store(store: Path) -> Registry:
    return Registry.open(store, device="cpu", threads=1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return open_store(oracles.make_store(tmp_path_factory.mktemp("store")))


def test_models_and_scales_are_found_in_order(registry: Registry) -> None:
    assert {name: model.scales for name, model in registry.models.items()} == {"blur": (2,), "nearest": (2, 3, 4)}
    assert list(registry.models) == ["blur", "nearest"]


def test_a_graph_knows_its_manifest_and_runs(registry: Registry) -> None:
    graph = registry.get("blur").graph(2)
    assert graph.manifest.halo == oracles.BLUR_RADIUS
    lr = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), np.uint8)
    assert np.array_equal(graph.session.run(lr)[0], oracles.blur(lr[0], 2))


def test_an_unknown_model_is_refused_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(UnknownModel, match=r"no model 'edrs'\. There is blur, nearest") as caught:
        registry.get("edrs")
    assert caught.value.members == {"available": ["blur", "nearest"]}


def test_an_unsupported_scale_is_refused_with_the_supported_ones(registry: Registry) -> None:
    with pytest.raises(UnsupportedScale, match=r"nearest has no scale 5\. It has 2, 3, 4") as caught:
        registry.get("nearest").graph(5)
    assert caught.value.members == {"supported": [2, 3, 4]}


def test_the_float_twin_is_opened_once_when_it_is_first_used(registry: Registry) -> None:
    graph = registry.get("nearest").graph(2)
    assert graph.has_float
    assert graph.float_session.manifest.pixels == "float32"
    assert graph.float_session is graph.float_session


def test_the_digest_is_of_the_file_that_runs(tmp_path: Path) -> None:
    paths = [
        oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2, kind)) for kind in ("uint8", "float32")
    ]
    graph = open_store(tmp_path).get("nearest").graph(2)
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [graph.sha256(wide=wide) for wide in (False, True)] == expected


def test_all_requests_of_one_kind_run_one_session(registry: Registry) -> None:
    graph = registry.get("nearest").graph(2)
    kinds = [(8, False), (16, False), (8, True), (16, True)]
    sessions = [graph.session_for(bits=bits, ensemble=ensemble) for bits, ensemble in kinds]
    assert sessions == [graph.session_for(bits=bits, ensemble=ensemble) for bits, ensemble in kinds]
    assert [session.manifest.pixels for session in sessions] == ["uint8", "float32", "uint8", "float32"]
    assert len({id(session) for session in sessions}) == 4


@pytest.mark.parametrize(
    ("proto", "why"),
    [
        (oracles.nearest_graph(2), "it has no float32 graph"),
        (oracle_kinds.clip_graph(2), "its network sees frames, not colours"),
        (oracle_kinds.fixed_graph(2), "it takes pictures of one size only"),
        (oracle_kinds.degrading_graph(2), "it is a degradation"),
    ],
    ids=["no-twin", "frames", "fixed", "down"],
)
def test_a_graph_without_an_ensemble_says_why(tmp_path: Path, proto: onnx.ModelProto, why: str) -> None:
    oracles.save_graph(tmp_path, "plain", 2, proto)
    graph = open_store(tmp_path).get("plain").graph(2)
    assert not graph.has_ensemble
    with pytest.raises(EnsembleUnsupported, match=rf"The model plain has no ensemble: {why}"):
        graph.session_for(bits=8, ensemble=True)


def test_a_graph_without_a_twin_says_so(registry: Registry) -> None:
    graph = registry.get("blur").graph(2)
    assert not graph.has_float
    with pytest.raises(FloatUnsupported, match="blur at scale 2 has no graph for 16-bit pixels"):
        _ = graph.float_session


def test_a_weights_file_is_hashed_once_for_all_graphs_that_point_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scale in (2, 3):
        oracles.save_weighted_graph(tmp_path, "mixed", scale)
        oracles.save_weighted_graph(tmp_path, "mixed", scale, "float32")
    read: list[str] = []
    digest = hashlib.file_digest

    def noted(file: BufferedReader, name: str) -> object:
        read.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    graph = open_store(tmp_path).get("mixed").graph(3)
    lr = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    assert np.array_equal(graph.float_session.run(lr)[0], oracles.nearest(lr[0, ..., ::-1], 3))
    assert read.count("weights.safetensors") == 1


def test_warming_up_runs_every_graph(tmp_path: Path, registry: Registry) -> None:
    registry.warm_up()
    wrong = oracles.set_manifest(oracles.nearest_graph(2), oracles.manifest("wrong", scale=3))
    oracles.save_graph(tmp_path, "wrong", 3, wrong)
    with pytest.raises(StoreError, match=r"wrong/x3\.onnx: its first run failed.*Cure: "):
        open_store(tmp_path).warm_up()


def test_graphs_of_every_kind_are_opened_and_warmed_up(tmp_path: Path) -> None:
    graphs = [
        oracle_kinds.clip_graph(2),
        oracle_kinds.blocks_graph(2, 4),
        oracle_kinds.fixed_graph(2),
        oracle_kinds.degrading_graph(2),
        oracle_kinds.degrading_once_graph(2),
    ]
    for proto in graphs:
        oracles.save_graph(tmp_path, oracles.get_manifest(proto).model, 2, proto)
    registry = open_store(tmp_path)
    registry.warm_up()
    assert list(registry.models) == ["blocks", "clip", "degrading", "degrading-once", "fixed"]


def test_other_files_and_folders_do_no_harm(tmp_path: Path) -> None:
    oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2))
    (tmp_path / "README.md").write_text("the store")
    (tmp_path / "nearest" / "notes.txt").write_text("x2")
    (tmp_path / "untrained").mkdir()
    (tmp_path / "untrained" / "weights.safetensors").write_bytes(b"")
    assert list(open_store(tmp_path).models) == ["nearest"]


# --- faults of the store: each spoils a good one


def no_weights(store: Path) -> None:
    (store / "mixed" / "weights.safetensors").unlink()


def other_weights(store: Path) -> None:
    (store / "mixed" / "weights.safetensors").write_bytes(b"other weights")


def not_onnx(store: Path) -> None:
    (store / "nearest" / "x2.onnx").write_bytes(b"<html>404</html>")


def lfs_pointer(store: Path) -> None:
    (store / "nearest" / "x2.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def no_manifest(store: Path) -> None:
    proto = oracles.nearest_graph(2)
    del proto.metadata_props[:]
    (store / "nearest" / "x2.onnx").write_bytes(proto.SerializeToString())


def malformed_manifest(store: Path) -> None:
    proto = oracles.nearest_graph(2)
    helper.set_model_props(proto, {"srserve.manifest": '{"manifest_version": 1}'})
    (store / "nearest" / "x2.onnx").write_bytes(proto.SerializeToString())


def other_folder(store: Path) -> None:
    shutil.copytree(store / "nearest", store / "edsr")


def other_scale(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.onnx", store / "nearest" / "x4.onnx")


def twin_as_graph(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.float32.onnx", store / "nearest" / "x2.onnx")


def graph_as_twin(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.onnx", store / "nearest" / "x2.float32.onnx")


def twin_alone(store: Path) -> None:
    (store / "nearest" / "x2.onnx").unlink()


def twin_of_other_weights(store: Path) -> None:
    facts = oracles.manifest("nearest", scale=2, pixels="float32", halo=3)
    oracles.save_graph(store, "nearest", 2, oracles.set_manifest(oracles.nearest_graph(2, "float32"), facts))


def wrong_name(store: Path) -> None:
    proto = oracles.nearest_graph(2)
    proto.graph.output[0].name = proto.graph.node[0].output[0] = "output"
    oracles.save_graph(store, "nearest", 2, proto)


def wrong_type(store: Path) -> None:
    proto = oracles.nearest_graph(2)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    oracles.save_graph(store, "nearest", 2, proto)


def wrong_type_in_twin(store: Path) -> None:
    proto = oracles.nearest_graph(2)
    facts = oracles.manifest("nearest", scale=2, pixels="float32")
    oracles.save_graph(store, "nearest", 2, oracles.set_manifest(proto, facts))


def duplicate(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.onnx", store / "nearest" / "x02.onnx")


def strange_name(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.onnx", store / "nearest" / "nearest_x2_final.onnx")


def outside_a_folder(store: Path) -> None:
    shutil.copy(store / "nearest" / "x2.onnx", store / "nearest.onnx")


def twin_on_another_grid(store: Path) -> None:
    facts = oracles.manifest("nearest", scale=2, pixels="float32", size_multiple=4)
    oracles.save_graph(store, "nearest", 2, oracles.set_manifest(oracles.nearest_graph(2, "float32"), facts))


def two_directions(store: Path) -> None:
    oracles.save_graph(store, "nearest", 3, oracle_kinds.degrading_graph(3))


def two_kinds(store: Path) -> None:
    oracles.save_graph(store, "nearest", 3, oracle_kinds.clip_graph(3))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_weights, r"mixed/x2\.onnx: .*field weights names .*mixed/weights\.safetensors, which cannot be read"),
        (other_weights, r"mixed/x2\.onnx: .*field weights_sha256 is "),
        (not_onnx, r"nearest/x2\.onnx: is not an ONNX file"),
        (lfs_pointer, r"nearest/x2\.onnx: is not an ONNX file"),
        (no_manifest, r"nearest/x2\.onnx: metadata_props has no 'srserve\.manifest'"),
        (malformed_manifest, r"nearest/x2\.onnx: .*field model: Field required"),
        (other_folder, r"edsr/x2\.onnx: .*field model is 'nearest', but its place in the store says 'edsr'"),
        (other_scale, r"nearest/x4\.onnx: .*field scale is 2, but its place in the store says 4"),
        (twin_as_graph, r"nearest/x2\.onnx: .*field pixels is 'float32', but .* 'uint8'"),
        (graph_as_twin, r"nearest/x2\.float32\.onnx: .*field pixels is 'uint8', but .* 'float32'"),
        (twin_alone, r"nearest/x2\.float32\.onnx: is a twin of x2\.onnx, which is not there"),
        (twin_of_other_weights, r"nearest/x2\.float32\.onnx: .*field halo_exact is 3, but that of x2\.onnx.* is 0"),
        (wrong_name, r"nearest/x2\.onnx: the graph's outputs are \['output'\], not just 'sr'"),
        (wrong_type, r"nearest/x2\.onnx: the graph's input 'lr' is tensor\(float\)"),
        (wrong_type_in_twin, r"nearest/x2\.float32\.onnx: the graph's input 'lr' is tensor\(uint8\)"),
        (duplicate, r"nearest/x2\.onnx: is a duplicate of x02\.onnx"),
        (strange_name, r"nearest/nearest_x2_final\.onnx: the file name does not state the scale"),
        (outside_a_folder, r"nearest\.onnx: lies outside a model's folder"),
        (twin_on_another_grid, r"nearest/x2\.float32\.onnx: .*field size_multiple is 4, but that of x2\.onnx.* is 1"),
        (two_kinds, r"nearest/x3\.onnx: .*field input is 'frames', but that of x2\.onnx is 'rgb'"),
        (two_directions, r"nearest/x3\.onnx: .*field direction is 'down', but that of x2\.onnx is 'up'"),
    ],
)
def test_a_spoilt_store_is_refused(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2))
    oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2, "float32"))
    oracles.save_weighted_graph(tmp_path, "mixed", 2)
    open_store(tmp_path)
    spoil(tmp_path)
    with pytest.raises(StoreError, match=rf"{message}.*Cure: \w"):
        open_store(tmp_path)


def test_a_store_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no-store: the model store is not a folder\. Cure: set SR_STORE"):
        open_store(tmp_path / "no-store")
    with pytest.raises(StoreError, match=r"has no graph\. Cure: export"):
        open_store(tmp_path)
