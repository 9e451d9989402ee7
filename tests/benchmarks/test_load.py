"""The load benchmark holds every answer to an exact one; a small load is played here, whatever the machine's speed."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import load
from benchmarks.made import MADE, make_store
from service.sessions import Session
from tests import oracles
from tests.service.pictures import pixels


def test_the_made_network_is_nearest_neighbour_however_much_it_works(tmp_path: Path) -> None:
    lr = pixels(21, 34)
    for layers in (1, 3):
        work = make_store(tmp_path / str(layers), layers=layers)
        session = Session.open(tmp_path / str(layers) / MADE / "x2.onnx", device="cpu", threads=1)
        assert np.array_equal(session.run(lr[None])[0], oracles.nearest(lr, 2))
        assert session.manifest.macs_per_lr_pixel == work > layers * 9 * 32 * 32


def test_a_small_load_with_the_large_picture_in_flight_has_no_wrong_pixel_and_starves_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    load.main(["--clients", "6", "--seconds", "1", "--utilisation", "5", "--layers", "1"])
    told = capsys.readouterr().out
    kept = re.findall(r"^kept: (.*)$", told, re.MULTILINE)
    for promise in ("no wrong pixel", "whoever asked was answered", "MiB above"):
        assert len([line for line in kept if promise in line]) == told.count(promise) > 0, told
    assert len(re.findall(r"\d+ % predicted within 30 %", told)) == 2


def test_a_quantile_is_one_of_the_values() -> None:
    assert [load.quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.95)] == [1.0, 2.0, 3.0]
