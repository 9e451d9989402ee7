"""A checkpoint holds the weights, the config that builds the network, and where they come from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models import EdsrConfig
from models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

CONFIG = EdsrConfig(3, blocks=1, features=4)
PROVENANCE = {
    "recipe": "none",
    "steps": 0,
    "sources": [{"name": "a", "licence": "CC0-1.0"}],
    "psnr": {"Set5": 30.0},
}


def test_it_round_trips_bit_for_bit(tmp_path: Path) -> None:
    network = CONFIG.build().eval()
    save_checkpoint(tmp_path / "x3.safetensors", network, config=CONFIG, provenance=PROVENANCE)
    loaded = load_checkpoint(tmp_path / "x3.safetensors")
    lr = torch.rand(1, 3, 6, 5) * 255
    assert loaded.config == CONFIG
    assert loaded.provenance == PROVENANCE
    assert not loaded.network.training
    assert torch.equal(loaded.network(lr), network(lr))


def test_no_half_written_file_is_left_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x3.safetensors"
    save_checkpoint(path, CONFIG.build(), config=CONFIG, provenance=PROVENANCE)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(path, CONFIG.build(), config=CONFIG, provenance={"not json": object()})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x3.safetensors"]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x3.safetensors"
    save_checkpoint(path, CONFIG.build(), config=CONFIG, provenance=PROVENANCE)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "field 'format' is None"),
        ({"format": "srserve-checkpoint-1"}, "no usable config"),
        ({"format": "srserve-checkpoint-1", "config": '{"family": "vgg"}'}, "families: edsr"),
        ({"format": "srserve-checkpoint-1", "config": "{"}, "x.safetensors"),
        (
            {"format": "srserve-checkpoint-1", "config": '{"family": "edsr", "scale": 2}'},
            "do not fit its config",
        ),
    ],
    ids=["no format", "no config", "unknown family", "not JSON", "other tensors"],
)
def test_strange_files_are_refused_by_name(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "x.safetensors")
