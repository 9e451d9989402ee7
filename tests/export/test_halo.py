"""The measured halo is the smallest that hides the seams: checked with blurs, whose radius is known."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.errors import ExportError
from export.halo import Core, measure_halo
from export.photographs import photographs
from service.sessions import Session
from tests import oracles


def opened(tmp_path: Path, proto: onnx.ModelProto) -> Session:
    path = oracles.save_graph(tmp_path, "oracle", 2, proto)
    return Session.open(path, device="cpu", threads=1)


def blur(*, radius: int, weight_beyond_4: float = 1.0, halo_exact: int | None = None) -> onnx.ModelProto:
    """A blur of `radius` whose kernel is `weight_beyond_4` farther than 4 pixels from its middle."""
    proto = oracles.blur_graph(2, radius, "float32")
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == "kernel")
    weights = numpy_helper.to_array(kernel).copy()
    inner = weights[..., radius - 4 : radius + 5, radius - 4 : radius + 5].copy()
    weights *= weight_beyond_4
    weights[..., radius - 4 : radius + 5, radius - 4 : radius + 5] = inner
    kernel.CopyFrom(numpy_helper.from_array(weights, "kernel"))
    stated = radius if halo_exact is None else halo_exact
    facts = oracles.get_manifest(proto).model_copy(update={"halo": stated, "halo_exact": stated})
    return oracles.set_manifest(proto, facts)


def test_a_pointwise_graph_needs_no_halo(tmp_path: Path) -> None:
    assert measure_halo(opened(tmp_path, oracles.nearest_graph(2, "float32"))) == 0


def test_an_even_blur_needs_its_whole_radius(tmp_path: Path) -> None:
    assert measure_halo(opened(tmp_path, blur(radius=7))) == 7


@pytest.mark.parametrize(
    ("weight_beyond_4", "halo"),
    [(0.002, 4), (0.004, 7)],
    ids=["0.17-levels", "0.34-levels"],
)
def test_only_context_that_could_be_seen_is_asked_for(tmp_path: Path, weight_beyond_4: float, halo: int) -> None:
    assert measure_halo(opened(tmp_path, blur(radius=7, weight_beyond_4=weight_beyond_4))) == halo


def test_a_receptive_radius_that_is_larger_than_stated_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="receptive radius is larger"):
        measure_halo(opened(tmp_path, blur(radius=7, halo_exact=5)))


def test_a_halo_of_more_than_half_a_photograph_can_be_measured(tmp_path: Path) -> None:
    proto = blur(radius=7, weight_beyond_4=1e-5, halo_exact=200)
    assert measure_halo(opened(tmp_path, proto)) == 4


def test_the_seams_really_are_within_one_grey_level_of_a_photograph(tmp_path: Path) -> None:
    session = opened(tmp_path, blur(radius=7, weight_beyond_4=0.002))
    halo = measure_halo(session)
    for row in range(0, 240, 60):
        core = Core(session, photographs()["chelsea"], row, 100)
        assert np.abs(np.rint(core.answer(halo)) - np.rint(core.whole)).max() <= 1
