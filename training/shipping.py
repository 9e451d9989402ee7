"""What a run leaves behind: the averaged networks as checkpoints that say where they come from."""

import hashlib
import logging
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.checkpoint import save_checkpoint
from training.loop import Trainer
from training.objectives.base import NETWORK

log = logging.getLogger("training")

# Of the recipe: what stands beside it in the record, as digests where it is a path.
NOT_REPEATED: Mapping[str, Any] = {"sources": True, "licence": True, "start_from": True, "video": {"fusion_from": True}}


def ship(trainer: Trainer, run: Path, data: Path, *, measure: bool) -> list[Path]:
    """Writes `checkpoint.safetensors`, and `checkpoint_NAME.safetensors` of what was trained beside it.

    With `measure` they are scored on every test set at hand.
    """
    objective = trainer.objective
    scores = objective.scores(trainer.shipped, data, full=True) if measure else {}
    for name, psnr in scores.items():
        log.info("%s: %.3f dB", name, psnr)
    record = _provenance(trainer, {name: round(psnr, 3) for name, psnr in scores.items()})
    paths = []
    for name, config in objective.shipped.items():
        path = run / ("checkpoint.safetensors" if name == NETWORK else f"checkpoint_{name}.safetensors")
        save_checkpoint(path, trainer.shipped[name], config=config, provenance=record)
        log.info("wrote %s", path)
        paths.append(path)
    return paths


def _provenance(trainer: Trainer, scores: dict[str, float]) -> dict[str, Any]:
    recipe = trainer.recipe
    return {
        "recipe": recipe.model_dump(mode="json", exclude=NOT_REPEATED),
        "start_from": _ancestor(recipe.start_from),
        "fusion_from": _ancestor(recipe.video.fusion_from if recipe.video else None),
        "commit": _commit(),
        "steps": trainer.progress.step,
        "seconds": round(trainer.progress.seconds),
        "device": trainer.device.type,
        "seed": recipe.seed,
        "sources": [source.model_dump() for source in recipe.sources],
        "licence": recipe.licence,
        "psnr": scores,
        "history": trainer.progress.history,
    }


def _ancestor(start_from: str | None) -> dict[str, str] | None:
    """The checkpoint that the run started from: its digest says which, a path on some machine would not."""
    if start_from is None:
        return None
    path = Path(start_from)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _commit() -> str:
    """The commit of the working tree, with '+' where it was changed since; 'unknown' outside git."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        env={**os.environ, "LC_ALL": "C"},
    )
    return answer.stdout.strip() or "unknown"
