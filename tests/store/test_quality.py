"""The weights in the store score what their headers say."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import Pixels, measure
from service.manifest import read_manifest
from service.sessions import Session
from tests.data_folder import require

STORE = Path(__file__).resolve().parents[2] / "store"
GRAPHS = sorted(path for path in STORE.glob("*/x*.onnx") if ".float32" not in path.name)
SCORED = [path for path in GRAPHS if "Set5" in read_manifest(path).psnr]


def test_there_are_graphs() -> None:
    assert {"edsr/x2.onnx", "edsr/x4.onnx"} <= {path.relative_to(STORE).as_posix() for path in GRAPHS}


@pytest.mark.data
@pytest.mark.parametrize("path", SCORED, ids=lambda path: path.relative_to(STORE).as_posix())
def test_a_committed_model_is_not_worse_than_its_header_says(path: Path) -> None:
    folder = require("benchmarks", "Set5", "HR")
    session = Session.open(path, device="cpu")

    def enlarge(lr: Pixels) -> Pixels:
        sr: Pixels = session.run(np.ascontiguousarray(lr)[np.newaxis])[0]
        return sr

    _, psnr, _ = measure(folder, session.manifest.scale, enlarge)
    assert psnr > session.manifest.psnr["Set5"] - 0.05
