"""A manifest is read from the file without loading the graph, and says precisely what is wrong with it."""

import json
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from pydantic import ValidationError

from service.errors import StoreError
from service.manifest import METADATA_KEY, Manifest, parse_manifest, read_manifest
from tests import oracles

PATH = Path("store/nearest/x2.onnx")


def as_json(**changes: object) -> str:
    facts = oracles.manifest("nearest", scale=2).model_dump(mode="json") | changes
    return json.dumps({key: value for key, value in facts.items() if value is not ...})


def write(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def test_what_the_graph_says_is_what_is_read(tmp_path: Path) -> None:
    facts = oracles.manifest("nearest", scale=2, psnr={"Set5": 37.5}, sources=("DIV2K",), paper="Ü")
    path = write(tmp_path / "x2.onnx", oracles.set_manifest(oracles.nearest_graph(2), facts))
    assert read_manifest(path) == facts


def test_metadata_is_found_among_other_entries_and_unknown_fields(tmp_path: Path) -> None:
    proto = oracles.nearest_graph(2)
    facts = oracles.get_manifest(proto)
    proto.doc_string = "x" * 1000
    proto.model_version = 1 << 40
    helper.set_model_props(proto, {"other": "1", METADATA_KEY: facts.model_dump_json(), "": "empty key"})
    path = write(tmp_path / "x2.onnx", proto)
    # A later version of the format may add fields of any wire type: 64 bits, 32 bits, a number, bytes.
    path.write_bytes(path.read_bytes() + b"\xf9\x06" + bytes(8) + b"\xfd\x06" + bytes(4) + b"\xf8\x06\x05\xfa\x06\x01a")
    assert read_manifest(path) == facts


def test_a_manifest_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        oracles.manifest("nearest", scale=2).__setattr__("scale", 3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scale": ...}, "field scale"),
        ({"scale": "2"}, "field scale"),
        ({"scale": 0}, "field scale"),
        ({"halo": -1}, "field halo"),
        ({"sacle": 2}, "field sacle"),
        ({"manifest_version": 2}, "field manifest_version"),
        ({"pixels": "float64"}, "field pixels"),
        ({"model": "../nearest"}, "field model"),
        ({"weights": "../secret.safetensors", "weights_sha256": "0" * 64}, "field weights"),
        ({"weights": "w.safetensors", "weights_sha256": "abc"}, "field weights_sha256"),
        ({"weights": "w.safetensors"}, "weights and weights_sha256"),
        ({"psnr": {"Set5": "high"}}, "field psnr.Set5"),
        ({"licence": ""}, "field licence"),
        ({"halo": 5}, "halo 5 is larger than halo_exact 0"),
        ({"input": "frames", "frame_window": 2}, "frame_window 2 is even"),
        ({"frame_window": 3}, "frame_window 3 needs input 'frames'"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_manifest({METADATA_KEY: as_json(**changes)}, path=PATH)
    message = str(caught.value)
    assert field in message
    assert str(PATH) in message
    assert "Cure: " in message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"scale": 2'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match=r"not valid.*Cure: "):
        parse_manifest({METADATA_KEY: text}, path=PATH)


def test_a_graph_without_a_manifest_is_refused(tmp_path: Path) -> None:
    proto = oracles.nearest_graph(2)
    del proto.metadata_props[:]
    with pytest.raises(StoreError, match=r"x2\.onnx: metadata_props has no 'srserve\.manifest'.*Cure: export"):
        read_manifest(write(tmp_path / "x2.onnx", proto))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"x2\.onnx: cannot be read \(No such file.*Cure: "):
        read_manifest(tmp_path / "x2.onnx")


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"\xff" * 40, bytes(3), "{}".encode("utf-16")],
    ids=["empty", "gif", "ff", "nul", "text"],
)
def test_what_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x2.onnx").write_bytes(content)
    with pytest.raises(StoreError, match="Cure: "):
        read_manifest(tmp_path / "x2.onnx")


GRAPH = oracles.blur_graph(2).SerializeToString()


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_never_anything_else(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(GRAPH[: data.draw(st.integers(0, len(GRAPH)))])
    for _ in range(data.draw(st.integers(0, 4)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(damaged)
    try:
        read = read_manifest(path)
    except StoreError:
        return
    assert isinstance(read, Manifest)
