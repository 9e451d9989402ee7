"""A real published file: an EDSR of 8 blocks, imported, exported, and measured on Set5 through the serving session."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.errors import ImportRefused
from export.importers import import_edsr, read_state_file
from export.importers.plausible import consistency_db, implausible
from export.store import export_checkpoint
from models import EdsrConfig
from models.checkpoint import save_checkpoint
from service.manifest import read_manifest
from service.sessions import Session
from tests.data_folder import require
from training.metrics import compare

pytestmark = pytest.mark.data


def set5_psnr(session: Session) -> float:
    """Mean PSNR-Y in dB, LR made by Pillow's bicubic as in the published score."""
    scores = []
    for path in sorted(require("benchmarks", "Set5", "HR").glob("*.png")):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = (side // 2 for side in image.size)
        hr = image.crop((0, 0, 2 * width, 2 * height))
        lr = np.asarray(hr.resize((width, height), Image.Resampling.BICUBIC))
        scores.append(compare(session.run(lr[np.newaxis])[0], np.asarray(hr), 2)[0])
    assert len(scores) == 5
    return float(np.mean(scores))


def test_the_published_score_is_reached_through_the_exported_graph(tmp_path: Path) -> None:
    imported = import_edsr(read_state_file(require("weights", "edsr8x64_x2_krasserm.pt")))
    assert imported.config == EdsrConfig(2, blocks=8)
    assert "8 blocks of 64 features" in imported.warnings[0]
    assert implausible(imported) is None
    assert consistency_db(imported) > 30
    file = tmp_path / "imported.safetensors"
    save_checkpoint(file, imported.network, config=imported.config, provenance=imported.provenance)
    exported = export_checkpoint(file, model="edsr-8x64", store=tmp_path / "store")
    assert 8 <= exported.halos[2] <= 16 < read_manifest(exported.graphs[0]).halo_exact
    session = Session.open(exported.graphs[0], device="cpu", threads=0)
    assert set5_psnr(session) == pytest.approx(37.80, abs=0.05)


def test_a_wrong_residual_scale_is_noticed() -> None:
    file = read_state_file(require("weights", "edsr8x64_x2_krasserm.pt"))
    assert "residual scale" in str(implausible(import_edsr(file, residual_scale=10.0)))


@pytest.mark.parametrize(
    "name",
    ["mdsr1x64_x2x3x4_saafke.pt", "srresnet16x64_x4_krasserm.pt", "vespcn9l-e3-mc_x3_cscd94.pt"],
)
def test_published_files_of_other_families_are_refused(name: str) -> None:
    with pytest.raises(ImportRefused, match=name):
        import_edsr(read_state_file(require("weights", name)))
