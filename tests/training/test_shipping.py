"""What is shipped says where it comes from: recipe, steps, sources, licence, and the weights it started from."""

import hashlib
from pathlib import Path

from models.checkpoint import load_checkpoint
from tests.training.cases import recipe, trainer
from training.shipping import ship


def test_a_checkpoint_carries_its_provenance(tmp_path: Path) -> None:
    run = trainer(recipe())
    run.step()
    (path,) = ship(run, tmp_path, tmp_path, measure=False)
    provenance = load_checkpoint(path).provenance
    assert path.name == "checkpoint.safetensors"
    assert provenance["steps"] == 1
    assert provenance["recipe"]["name"] == run.recipe.name
    assert provenance["licence"] == run.recipe.licence
    assert provenance["psnr"] == {}
    assert provenance["start_from"] is None


def test_the_ancestor_is_known_by_its_digest_not_by_where_it_lay(tmp_path: Path) -> None:
    ancestor = tmp_path / "ancestor.safetensors"
    ancestor.write_bytes(b"weights")
    run = trainer(recipe(start_from=str(ancestor)))
    (path,) = ship(run, tmp_path, tmp_path, measure=False)
    provenance = load_checkpoint(path).provenance
    assert provenance["start_from"] == {
        "file": "ancestor.safetensors",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }
    assert str(tmp_path) not in str(provenance)
