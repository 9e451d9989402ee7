"""The weights in the store score what their headers say, and the README prints just that."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import Pixels, measure
from service.manifest import read_manifest
from service.sessions import Session
from tests.data_folder import require

STORE = Path(__file__).resolve().parents[2] / "store"
GRAPHS = sorted(path for path in STORE.glob("*/x*.onnx") if ".float32" not in path.name)
BENCHMARKS = ("Set5", "Set14", "BSD100")


def test_there_are_graphs() -> None:
    assert {"edsr/x2.onnx", "edsr/x4.onnx"} <= {path.relative_to(STORE).as_posix() for path in GRAPHS}


@pytest.mark.data
@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.relative_to(STORE).as_posix())
def test_a_committed_model_is_not_worse_than_its_header_says(path: Path) -> None:
    folder = require("benchmarks", "Set5", "HR")
    session = Session.open(path, device="cpu")

    def enlarge(lr: Pixels) -> Pixels:
        sr: Pixels = session.run(np.ascontiguousarray(lr)[np.newaxis])[0]
        return sr

    _, psnr, _ = measure(folder, session.manifest.scale, enlarge)
    assert psnr > session.manifest.psnr["Set5"] - 0.05


def test_the_readme_prints_the_measured_figures() -> None:
    text = (STORE.parent / "README.md").read_text()
    printed = [
        [float(figure) for figure in re.findall(r"→ (\d+\.\d+) \(", line)]
        for line in text.splitlines()
        if re.match(r"\|.*\| x\d \|", line)
    ]
    measured = [[read_manifest(path).psnr[name] for name in BENCHMARKS] for path in GRAPHS]
    assert np.array(printed) == pytest.approx(np.array(measured), abs=0.02)
