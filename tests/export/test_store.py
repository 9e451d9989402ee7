"""An export puts weights and two proved graphs into the store, or leaves it as it was."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from export.errors import ExportError, ParityFailed
from export.store import Exported, export_checkpoint, export_store
from models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from service.manifest import read_manifest
from service.sessions import Session
from tests.export.examples import PROVENANCE, checkpoint_config, small_checkpoint, small_config, small_edsr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_store_holds_the_weights_as_they_were_and_two_small_graphs(exported: Exported, checkpoint: Path) -> None:
    folder = exported.weights.parent
    assert folder.name == "small"
    assert sorted(contents(folder)) == ["x4.float32.onnx", "x4.onnx", "x4.safetensors"]
    assert exported.weights.read_bytes() == checkpoint.read_bytes()
    assert all(path.stat().st_size < 70_000 for path in exported.graphs)  # 38,400 of them are the merged convolution


def test_the_manifest_says_what_the_checkpoint_says(exported: Exported) -> None:
    byte_pixels, float_pixels = (read_manifest(path) for path in exported.graphs)
    config = checkpoint_config(4)
    network = config.build()
    assert (byte_pixels.model, byte_pixels.family, byte_pixels.scale) == ("small", "edsr", 4)
    assert (byte_pixels.pixels, float_pixels.pixels) == ("uint8", "float32")
    assert byte_pixels.weights_sha256 == hashlib.sha256(exported.weights.read_bytes()).hexdigest()
    assert byte_pixels.parameters == sum(p.numel() for p in network.parameters() if p.requires_grad)
    straight = 4 * 9 * 8 * 32 + 9 * 8 * 32 + 16 * 9 * 8 * 3  # what EDSR's tail is without the merged convolution
    assert byte_pixels.macs_per_lr_pixel == config.macs_per_lr_pixel(4) - straight + 25 * 8 * 48
    assert byte_pixels.halo_exact == config.halo_exact
    assert byte_pixels.halo == exported.halos[4] <= byte_pixels.halo_exact
    assert byte_pixels.psnr == PROVENANCE["psnr"]
    assert byte_pixels.sources == ("nothing (CC0-1.0)",)
    assert byte_pixels.exporter["torch"] == torch.__version__.partition("+")[0]
    assert float_pixels == byte_pixels.model_copy(update={"pixels": "float32"})


def test_both_graphs_give_the_same_picture_and_it_is_pytorchs(exported: Exported) -> None:
    lr = np.random.default_rng(3).integers(0, 256, (2, 12, 19, 3), dtype=np.uint8)
    in_bytes, in_floats = (Session.open(path, device="cpu", threads=1) for path in exported.graphs)
    rounded = np.rint(in_floats.run(lr.astype(np.float32) / np.float32(255)).clip(0, 1) * 255)
    assert np.abs(in_bytes.run(lr) - rounded).max() <= 1
    network = load_checkpoint(exported.weights).network
    with torch.no_grad():
        sr = network(torch.from_numpy(lr).permute(0, 3, 1, 2).float()).clamp(0, 255).round().permute(0, 2, 3, 1)
    assert np.abs(in_bytes.run(lr) - sr.numpy()).max() <= 1
    assert sr.numpy().std() > 20  # a picture, not a grey area where any graph would agree


def test_a_failed_export_leaves_the_model_that_is_served_as_it_was(exported: Exported, tmp_path: Path) -> None:
    store = exported.weights.parents[1]
    before = contents(store)
    config = small_config(2, blocks=0)
    network = small_edsr(config)
    network.get_parameter("tail.1.bias").data.fill_(float("nan"))
    file = tmp_path / "nan.safetensors"
    save_checkpoint(file, network, config=config, provenance=PROVENANCE)
    with pytest.raises(ParityFailed):
        export_checkpoint(file, model="small", store=store)
    assert contents(store) == before


def test_a_failed_export_leaves_no_trace_of_a_new_model(tmp_path: Path) -> None:
    file = small_checkpoint(tmp_path / "a.safetensors", psnr={"Set5": "good"})
    with pytest.raises(ExportError, match="psnr"):
        export_checkpoint(file, model="small", store=tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("name", ["", "EDSR", "../edsr", ".hidden", "a b", "a" * 65])
def test_a_name_that_cannot_be_a_folder_and_a_parameter_is_refused(checkpoint: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="cannot name a model"):
        export_checkpoint(checkpoint, model=name, store=tmp_path / "store")
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"{}")
    with pytest.raises(CheckpointError):
        export_checkpoint(tmp_path / "a.safetensors", model="small", store=tmp_path / "store")


def test_a_store_without_checkpoints_is_an_error_and_not_a_silent_success(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nothing to export"):
        export_store(tmp_path)


def test_a_checkpoint_under_another_scales_name_is_refused(tmp_path: Path) -> None:
    small_checkpoint(tmp_path / "small" / "x2.safetensors", scale=4)
    with pytest.raises(ExportError, match=r"holds x4, so its name must be x4\.safetensors"):
        export_store(tmp_path)
