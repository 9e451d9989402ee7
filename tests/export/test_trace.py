"""A traced graph takes pixels and gives pixels, at every size, with the exact rounding that the wrappers promise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from export.errors import TraceFailed
from export.pixels import Pixels, with_pixels
from export.trace import OPSET, check_contract, trace
from models.config import NetworkConfig
from service.manifest import Manifest
from tests import oracles

REPOSITORY = Path(__file__).resolve().parents[2]


class Enlarged(nn.Module):
    """`change` of the values, each LR pixel then scale x scale equal SR pixels."""

    def __init__(self, change: Callable[[Tensor], Tensor], scale: int = 2) -> None:
        super().__init__()
        self.change, self.scale = change, scale

    def forward(self, lr: Tensor) -> Tensor:
        values = self.change(lr)
        return nn.functional.pixel_shuffle(values.repeat_interleave(self.scale**2, dim=1), self.scale)


class InBytes(NetworkConfig):
    """Of networks of RGB in [0, 255]."""


class InUnits(NetworkConfig):
    """Of networks of RGB in [0, 1]."""

    value_range = 1.0


def facts(pixels: Pixels, scale: int = 2) -> Manifest:
    return oracles.manifest("test", scale=scale, pixels=pixels)


def traced(
    network: nn.Module, pixels: Pixels, *, config: type[NetworkConfig] = InBytes, scale: int = 2
) -> onnx.ModelProto:
    return trace(with_pixels(network, config=config(), scale=scale, pixels=pixels), facts(pixels, scale))


def run(proto: onnx.ModelProto, lr: Any) -> Any:  # noqa: ANN401 - arrays of any pixel type
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(["sr"], {"lr": lr})[0]


def all_grey_levels() -> Any:  # noqa: ANN401 - uint8 [1, 1, 256, 3]
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)[None, None]


def test_bytes_are_rounded_half_to_even_and_clamped_each_colour_by_itself() -> None:
    factors, offsets = (torch.tensor(values)[:, None, None] for values in ([0.5, 3.0, 1.0], [0.0, -255.0, 0.0]))
    sr = run(traced(Enlarged(lambda values: values * factors + offsets), "uint8"), all_grey_levels())
    levels = np.arange(256)
    assert np.array_equal(sr[0, 0, ::2, 0], np.rint(levels / 2))
    assert (sr[0, 0, 2, 0], sr[0, 0, 6, 0]) == (0, 2)  # of 0.5 and 1.5
    assert np.array_equal(sr[0, 0, ::2, 1], (levels * 3 - 255).clip(0, 255))
    assert np.array_equal(sr[0, 0, ::2, 2], levels)


@pytest.fixture(scope="module")
def identity_graph() -> onnx.ModelProto:
    """x3, of a network that works in [0, 1]."""
    return traced(Enlarged(lambda values: values, 3), "uint8", config=InUnits, scale=3)


def test_every_grey_level_survives_an_identity_that_works_in_0_to_1(identity_graph: onnx.ModelProto) -> None:
    sr = run(identity_graph, all_grey_levels())
    assert np.array_equal(sr[0, 0, ::3], all_grey_levels()[0, 0])


def test_floats_are_in_0_to_1_and_not_clamped() -> None:
    lr = np.linspace(0, 1, 7, dtype=np.float32)[None, None, :, None].repeat(3, axis=3)
    sr = run(traced(Enlarged(lambda values: values * 3 - 255), "float32"), lr)
    assert sr.dtype == np.float32
    assert np.allclose(sr[0, 0, ::2], lr[0, 0] * 3 - 1, atol=1e-6)


def test_rows_columns_and_colours_stay_where_they_are(identity_graph: onnx.ModelProto) -> None:
    lr = np.random.default_rng(2).integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    sr = run(identity_graph, lr)
    assert np.array_equal(sr, lr.repeat(3, axis=1).repeat(3, axis=2))


class Baked(nn.Module):
    """The trap: the height of the traced sample becomes a constant of the graph."""

    def forward(self, lr: Tensor) -> Tensor:
        return nn.functional.interpolate(lr + torch.linspace(0, 1, lr.shape[2])[:, None], scale_factor=2.0)


def test_a_network_that_fixes_its_size_while_traced_is_refused() -> None:
    with pytest.raises(TraceFailed, match="test-x2-uint8: "):
        traced(Baked(), "uint8")


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Looking(nn.Module):
        def forward(self, lr: Tensor) -> Tensor:
            return lr if lr.sum() > 0 else -lr

    with pytest.raises(TraceFailed, match="test-x2-uint8: "):
        traced(Looking(), "uint8")


def test_a_graph_of_another_scale_or_type_is_refused(identity_graph: onnx.ModelProto) -> None:
    check_contract(identity_graph, facts("uint8", 3))
    with pytest.raises(TraceFailed, match=r"4\*H"):
        check_contract(identity_graph, facts("uint8", 4))
    with pytest.raises(TraceFailed):
        check_contract(identity_graph, facts("float32", 3))


def test_a_pixel_shuffle_in_the_order_that_scrambles_colours_is_refused(identity_graph: onnx.ModelProto) -> None:
    proto = onnx.load_from_string(identity_graph.SerializeToString())
    shuffle = next(node for node in proto.graph.node if node.op_type == "DepthToSpace")
    mode = next(attribute for attribute in shuffle.attribute if attribute.name == "mode")
    assert mode.s == b"CRD"
    mode.s = b"DCR"
    with pytest.raises(TraceFailed, match="DCR"):
        check_contract(proto, facts("uint8", 3))


def test_the_graph_says_nothing_about_the_machine_it_was_traced_on(identity_graph: onnx.ModelProto) -> None:
    assert [entry.version for entry in identity_graph.opset_import] == [OPSET]
    content = identity_graph.SerializeToString()
    for word in (b".py", b"torch", str(REPOSITORY).encode()):
        assert word not in content
