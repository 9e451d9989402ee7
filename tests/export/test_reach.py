"""How far a network sees is found to the pixel, and what sees everything is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export import reach
from export.errors import ForeignRefused
from export.reach import Batch, measure_reach
from service.sessions import Session
from tests import oracles


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "LONGEST_REACH", 24)


def shifted(distance: int) -> Callable[[Batch], Batch]:
    """A network whose every pixel is another one's, `distance` to the left."""
    return lambda pixels: np.roll(pixels, distance, axis=2).repeat(2, axis=1).repeat(2, axis=2)


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 22, 23])
def test_a_dependence_on_one_pixel_is_found_at_its_distance(distance: int) -> None:
    assert measure_reach(shifted(distance), scale=2) == distance


def test_what_sees_further_than_can_be_tiled_is_refused() -> None:
    with pytest.raises(ForeignRefused, match="more than 23 pixels"):
        measure_reach(shifted(24), scale=2)
    with pytest.raises(ForeignRefused, match="attention"):
        measure_reach(lambda pixels: pixels - pixels.mean(), scale=1)


@pytest.mark.parametrize("radius", [1, 5])
def test_a_blurs_radius_is_found_in_its_graph(tmp_path: Path, radius: int) -> None:
    path = oracles.save_graph(tmp_path, "blur", 2, oracles.blur_graph(2, radius, "float32"))
    session = Session.open(path, device="cpu", threads=1)
    assert measure_reach(session.run, scale=2) == radius
