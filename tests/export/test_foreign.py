"""Anybody's ONNX graph behind the contract: computes what it computed, or is refused with the cure."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export import reach
from export.errors import ForeignRefused
from export.foreign import Terms, export_foreign
from export.foreign_graph import read_foreign
from export.luma import BLUE, GREEN, RED
from export.surround import Channels
from service.manifest import read_manifest
from service.registry import Registry
from service.sessions import Session

TERMS = Terms("mine", licence="MIT", paper="Somebody 2020")


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A graph that enlarges by nearest neighbour and blurs a little: all that a foreign graph may differ in."""

    channels: int = 3
    scale: int = 2
    channels_first: bool = True
    element: int = TensorProto.FLOAT
    opset: int = 18
    size: tuple[Any, Any] = ("h", "w")
    batch: Any = "n"
    gain: float = 1.0
    offset: float = 0.0

    def proto(self) -> onnx.ModelProto:
        kernel = np.full((self.channels, 1, 3, 3), 0.02, np.float32)
        kernel[:, :, 1, 1] = 0.84
        axes: list[Any] = [self.batch, self.channels, *self.size]
        sizes = [self.batch, self.channels, "a", "b"]
        if not self.channels_first:
            axes, sizes = [self.batch, *self.size, self.channels], [self.batch, "a", "b", self.channels]
        there, back = ([0, 1, 2, 3],) * 2 if self.channels_first else ([0, 3, 1, 2], [0, 2, 3, 1])
        nodes = [
            helper.make_node("Cast", ["x"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["planes"], perm=there),
            helper.make_node("Pad", ["planes", "margin"], ["padded"], mode="edge"),
            helper.make_node("Conv", ["padded", "kernel"], ["blurred"], group=self.channels),
            helper.make_node("Mul", ["blurred", "gain"], ["strong"]),
            helper.make_node("Add", ["strong", "offset"], ["moved"]),
            helper.make_node("Resize", ["moved", "", "scales"], ["large"], mode="nearest", nearest_mode="floor"),
            helper.make_node("Transpose", ["large"], ["placed"], perm=back),
            helper.make_node("Cast", ["placed"], ["y"], to=self.element),
        ]
        weights = {
            "kernel": kernel,
            "margin": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
            "gain": np.float32(self.gain),
            "offset": np.float32(self.offset),
            "scales": np.array([1, 1, self.scale, self.scale], np.float32),
        }
        nodes[6].attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
        graph = helper.make_graph(
            nodes,
            "foreign",
            [helper.make_tensor_value_info("x", self.element, axes)],
            [helper.make_tensor_value_info("y", self.element, sizes)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)

    def save(self, folder: Path) -> Path:
        path = folder / "foreign.onnx"
        onnx.save(self.proto(), path)
        return path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "LONGEST_REACH", 8)


def add(graph: Foreign, folder: Path, **options: Any) -> Session:  # noqa: ANN401 - of export_foreign
    paths = export_foreign(graph.save(folder), TERMS, store=folder / "store", **options)
    assert [path.name for path in paths] == [f"x{graph.scale}.onnx", f"x{graph.scale}.float32.onnx"]
    return Session.open(paths[0], device="cpu", threads=1)


def alone(path: Path, values: NDArray[np.float32]) -> NDArray[np.float32]:
    answer: NDArray[np.float32] = onnxruntime.InferenceSession(path).run(None, {"x": values})[0]
    return answer


PICTURE = np.random.default_rng(3).integers(0, 256, (2, 9, 14, 3), dtype=np.uint8)


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("value_range", [1.0, 255.0])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_it_computes_what_the_file_computes(
    tmp_path: Path, channels: Channels, value_range: float, channels_first: bool
) -> None:
    graph = Foreign(scale=3, channels_first=channels_first)
    session = add(graph, tmp_path, channels=channels, value_range=value_range)
    values = (PICTURE[..., ::-1] if channels == "bgr" else PICTURE).astype(np.float32) * (value_range / 255)
    expected = alone(
        tmp_path / "foreign.onnx", np.ascontiguousarray(np.moveaxis(values, -1, 1) if channels_first else values)
    )
    expected = (np.moveaxis(expected, 1, -1) if channels_first else expected) * (255 / value_range)
    if channels == "bgr":
        expected = expected[..., ::-1]
    assert np.abs(session.run(PICTURE) - expected.clip(0, 255)).max() <= 0.501


@pytest.mark.parametrize(("channels", "black"), [("y", 16.0), ("y-full", 0.0)])
def test_a_luma_network_sees_luma_and_its_colours_are_enlarged_beside_it(
    tmp_path: Path, channels: Channels, black: float
) -> None:
    session = add(Foreign(channels=1), tmp_path, channels=channels)
    assert session.manifest.input == "y"
    exact = Session.open(tmp_path / "store" / "mine" / "x2.float32.onnx", device="cpu", threads=1)
    answer = exact.run(PICTURE.astype(np.float32) / 255) * 255
    weights = np.array([RED, GREEN, BLUE])
    share = (235 - 16) / 255 if black else 1.0
    luma = (PICTURE @ weights * share + black).astype(np.float32)[:, None]
    expected = alone(tmp_path / "foreign.onnx", luma / 255)[:, 0] * 255
    assert np.abs(answer @ weights * share + black - expected).max() < 0.01
    grey = np.repeat(PICTURE[..., :1], 3, axis=-1)
    answered = exact.run(grey.astype(np.float32) / 255)
    assert np.abs(answered - answered[..., :1]).max() < 1e-5  # no colour comes in


def test_the_manifest_says_what_was_found_and_told(tmp_path: Path) -> None:
    add(Foreign(), tmp_path)
    facts = read_manifest(tmp_path / "store" / "mine" / "x2.onnx")
    assert (facts.model, facts.family, facts.scale, facts.input) == ("mine", "foreign", 2, "rgb")
    assert (facts.licence, facts.paper, facts.precision, facts.weights) == ("MIT", "Somebody 2020", "fp32", None)
    assert (facts.halo_exact, facts.halo) == (1, 1)
    assert (facts.parameters, facts.macs_per_lr_pixel) == (3 * 9 + 2 + 4, 3 * 9)


def test_the_service_takes_the_store(tmp_path: Path) -> None:
    add(Foreign(), tmp_path)
    registry = Registry.open(tmp_path / "store", device="cpu", threads=1)
    registry.warm_up()
    assert registry.get("mine").graph(2).has_float


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_older_opsets_are_converted(tmp_path: Path, opset: int) -> None:
    assert add(Foreign(opset=opset), tmp_path).run(PICTURE).shape == (2, 18, 28, 3)


def test_half_precision_is_taken_as_such(tmp_path: Path) -> None:
    assert add(Foreign(element=TensorProto.FLOAT16), tmp_path).manifest.precision == "fp16"


def test_a_batch_that_is_fixed_without_need_is_freed(tmp_path: Path) -> None:
    assert add(Foreign(batch=1), tmp_path).run(PICTURE).shape == (2, 18, 28, 3)


def test_a_graph_of_one_size_is_served_for_that_size(tmp_path: Path) -> None:
    facts = add(Foreign(size=(16, 20)), tmp_path).manifest
    assert (facts.fixed_size, facts.halo_exact) == ((16, 20), 0)


def test_weights_beside_the_file_come_into_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    onnx.save(Foreign().proto(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    export_foreign(path, TERMS, store=tmp_path / "store")
    (tmp_path / "weights.bin").unlink()
    assert Session.open(tmp_path / "store" / "mine" / "x2.onnx", device="cpu").run(PICTURE).shape == (2, 18, 28, 3)


# --- what is refused


def two_inputs() -> onnx.ModelProto:
    proto = Foreign().proto()
    proto.graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", 64]))
    return proto


def in_bytes() -> onnx.ModelProto:
    proto = Foreign().proto()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return proto


def flat() -> onnx.ModelProto:
    """A global mean is taken off: every pixel sees all others."""
    proto = Foreign().proto()
    proto.graph.node[4].input[0] = "centred"
    mean = helper.make_node("ReduceMean", ["blurred"], ["mean"], keepdims=1)
    proto.graph.node.insert(4, helper.make_node("Sub", ["blurred", "mean"], ["uneven"]))
    proto.graph.node.insert(4, mean)
    proto.graph.node.insert(6, helper.make_node("Add", ["uneven", "half"], ["centred"]))
    proto.graph.initializer.append(numpy_helper.from_array(np.array(0.45, np.float32), "half"))
    return proto


@pytest.mark.parametrize(
    ("proto", "options", "said"),
    [
        (two_inputs(), {}, r"takes \['x', 'noise'\]"),
        (in_bytes(), {}, "is UINT8 of 4 axes"),
        (Foreign(channels=1).proto(), {}, "say --channels y"),
        (Foreign().proto(), {"channels": "y"}, "takes three channels"),
        (Foreign(channels=4).proto(), {}, "which one is the channels'"),
        (Foreign(size=(16, "w")).proto(), {}, "one side of the picture is fixed"),
        (Foreign(gain=0.2).proto(), {}, "Are --range and --channels right"),
        (Foreign(offset=0.5).proto(), {}, "only [0-9.]+ dB"),
        (flat(), {}, "attention over the whole picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_served_is_refused_and_leaves_nothing(
    tmp_path: Path, proto: onnx.ModelProto, options: dict[str, Any], said: str
) -> None:
    path = tmp_path / "foreign.onnx"
    onnx.save(proto, path)
    with pytest.raises(ForeignRefused, match=said):
        export_foreign(path, TERMS, store=tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_a_network_that_needs_multiples_is_told_to_pad(tmp_path: Path) -> None:
    proto = Foreign().proto()
    proto.graph.node[4].input[0] = "again"
    proto.graph.node.insert(4, helper.make_node("SpaceToDepth", ["blurred"], ["deep"], blocksize=8))
    proto.graph.node.insert(5, helper.make_node("DepthToSpace", ["deep"], ["again"], blocksize=8))
    path = tmp_path / "foreign.onnx"
    onnx.save(proto, path)
    with pytest.raises(ForeignRefused, match=r"33x17.*has to pad and crop by itself"):
        read_foreign(path, channels=None, value_range=1.0)


@pytest.mark.parametrize("content", [b"", b"no graph at all", bytes(200)])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(content)
    with pytest.raises(ForeignRefused, match="no valid ONNX"):
        read_foreign(path, channels=None, value_range=1.0)
