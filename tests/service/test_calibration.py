"""Calibration runs every kind of graph in every way on two sizes, and what it found is the prediction."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from service.calibration import SIDES, SMALL_SIDE, calibrate
from service.costs import Costs, Network, Way
from service.sessions import Session
from tests import oracle_kinds, oracles
from tests.service.scheduling import Sessions


class Noting(Costs):
    """Costs that keep what they were fitted to."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[tuple[str, Way], set[int]] = {}

    def fit(self, network: Network, way: Way, runs: object) -> None:
        assert isinstance(runs, list)
        self.runs[network.model, way] = {pixels for pixels, _ in runs}
        super().fit(network, way, runs)


def test_two_sizes_in_each_way(sessions: Sessions) -> None:
    costs = Noting()
    calibrate([sessions["nearest"], sessions["float"]], costs, ways=["spread", "single"])
    assert set(costs.runs) == {("nearest", "spread"), ("nearest", "single")}
    for sizes in costs.runs.values():
        assert len(sizes) == 2
        assert min(sizes) == SMALL_SIDE**2
        assert SIDES[0] ** 2 <= max(sizes) <= SIDES[1] ** 2
    assert costs.is_fitted(Network.of(sessions["nearest"].manifest))


KINDS: dict[str, Callable[[], onnx.ModelProto]] = {
    "frames": lambda: oracle_kinds.clip_graph(2),
    "grid": lambda: oracle_kinds.blocks_graph(2, 5),
    "one-size": lambda: oracle_kinds.fixed_graph(2),
    "noise-map": lambda: oracle_kinds.degrading_graph(2),
    "noise-vector": lambda: oracle_kinds.degrading_once_graph(2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_graph_can_be_calibrated(kind: str, tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, kind, 2, KINDS[kind]())
    session = Session.open(path, device="cpu", threads=1)
    costs = Noting()
    calibrate([session], costs, ways=["batch"])
    assert costs.seconds(Network.of(session.manifest), "batch", 10_000) > 0
