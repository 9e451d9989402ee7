"""Real published files: imported, exported, served, and measured on Set5 through HTTP."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.quality import Pixels, over_http
from export.importers import Options, import_published, read_state_file
from export.importers.plausible import consistency_db, implausible
from export.store import export_checkpoint
from models import EdsrConfig, MdsrConfig, NetworkConfig, SrganConfig, SrresnetConfig
from models.checkpoint import save_checkpoint
from tests.conftest import Launch
from tests.data_folder import require
from training.metrics import compare

pytestmark = pytest.mark.data

GENERATOR = SrresnetConfig(4, prelu="channel", conv_bias=True, norm_eps=1e-3, tanh=True)
# The file, what it is, and its PSNR-Y in dB on Set5 with LR by Pillow's bicubic, as its publisher's network reaches it.
PUBLISHED: dict[str, tuple[str, NetworkConfig, dict[int, float]]] = {
    "edsr": ("edsr8x64_x2_krasserm.pt", EdsrConfig(2, blocks=8), {2: 37.80}),
    "srresnet": ("srresnet16x64_x4_krasserm.keras.h5", GENERATOR, {4: 32.02}),
    "srgan": ("srgan16x64_x4_krasserm.pt", SrganConfig(**asdict(GENERATOR)), {4: 29.18}),
    "mdsr": (
        "mdsr1x64_x2x3x4_saafke.pt",
        MdsrConfig(blocks=1, residual_scale=0.1, compact=True),
        {2: 34.98, 3: 31.03, 4: 28.82},
    ),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_published_file_is_recognised_and_super_resolves(model: str) -> None:
    name, config, _ = PUBLISHED[model]
    imported = import_published(read_state_file(require("weights", name)))
    assert imported.config == config
    assert implausible(imported) is None
    assert consistency_db(imported) > 30


def test_keras_own_file_and_its_port_to_pytorch_are_bit_for_bit_the_same_network() -> None:
    original, port = (
        import_published(
            read_state_file(require("weights", f"srresnet16x64_x4_krasserm.{suffix}"))
        ).network.state_dict()
        for suffix in ("keras.h5", "pt")
    )
    assert len(original) == 258
    assert all(torch.equal(original[name], port[name]) for name in original)


def test_a_wrong_residual_scale_is_noticed() -> None:
    file = read_state_file(require("weights", "edsr8x64_x2_krasserm.pt"))
    assert "residual scale" in str(implausible(import_published(file, Options(residual_scale=10.0))))


@pytest.mark.timeout(1200)  # 12 graphs in all, on a machine that others may use
@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_score_is_reached_through_http(model: str, tmp_path: Path, launch: Launch) -> None:
    name, config, scores = PUBLISHED[model]
    imported = import_published(read_state_file(require("weights", name)))
    file, store = tmp_path / "imported.safetensors", tmp_path / "store"
    save_checkpoint(file, imported.network, config=config, provenance=imported.provenance)
    halos = dict.fromkeys(scores, config.halo_exact)  # how small they can be is measured elsewhere
    export_checkpoint(file, model=model, store=store, halos=halos)
    with launch(store=store, threads=0).client() as client:
        reached = {scale: set5_psnr(over_http(client, model, scale), scale) for scale in scores}
    print(model, reached)  # pytest shows it where the test fails, or with -s
    assert reached == pytest.approx(scores, abs=0.05)


def set5_psnr(enlarge: Callable[[Pixels], Pixels], scale: int) -> float:
    """Mean PSNR-Y in dB, borders of `scale` pixels left out."""
    scores = []
    for path in sorted(require("benchmarks", "Set5", "HR").glob("*.png")):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = (side // scale for side in image.size)
        hr = image.crop((0, 0, scale * width, scale * height))
        lr = np.asarray(hr.resize((width, height), Image.Resampling.BICUBIC))
        scores.append(compare(enlarge(lr), np.asarray(hr), scale)[0])
    assert len(scores) == 5
    return float(np.mean(scores))
