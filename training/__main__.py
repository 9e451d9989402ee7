"""`python -m training RECIPE`: trains, validates, saves, resumes; a finished run is measured and its weights kept."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.checkpoint import load_checkpoint, save_checkpoint
from models.edsr import start_from
from training.data import load_pairs
from training.evaluate import evaluate
from training.loop import Progress as RunProgress
from training.loop import Trainer
from training.recipe import Recipe, read_recipe

BENCHMARKS = ("Set5", "Set14", "BSD100")
log = logging.getLogger("training")


def main() -> int:
    """Runs a recipe; returns 0 when its last step is done, 3 when it was stopped before (run again to resume)."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    recipe = read_recipe(arguments.recipe, steps=arguments.steps, start_from=arguments.start_from)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    run = arguments.runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    trainer = _prepare(recipe, arguments, device)
    if (run / "state.pt").exists():
        trainer.load(run / "state.pt")
        log.info("resumed at step %d of %d", trainer.progress.step, recipe.steps)
    finished = _train(trainer, arguments, run)
    _ship(trainer, arguments, run, measure=finished or arguments.measure)
    return 0 if finished else 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("recipe", type=Path, help="TOML file, see training/recipes/")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with photos/ and benchmarks/")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where states and checkpoints are kept")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--steps", type=int, help="another length than the recipe's")
    parser.add_argument("--start-from", help="checkpoint to start from instead of the recipe's")
    parser.add_argument("--stop-after-s", type=float, default=float("inf"), help="stop and save after so many seconds")
    parser.add_argument("--save-every-s", type=float, default=120.0, help="seconds between saved states")
    parser.add_argument("--limit-photos", type=int, help="use only the first photographs (for trying)")
    parser.add_argument("--measure", action="store_true", help="score on all benchmarks even if stopped early")
    return parser.parse_args()


def _prepare(recipe: Recipe, arguments: argparse.Namespace, device: torch.device) -> Trainer:
    torch.manual_seed(recipe.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    config = recipe.config()
    network = config.build()
    if recipe.start_from:
        new = start_from(network, load_checkpoint(Path(recipe.start_from)).network)
        log.info("started from %s; new: %s", recipe.start_from, ", ".join(new) or "nothing")
    generator = torch.Generator().manual_seed(recipe.seed)
    log.info("reading photographs of %s", arguments.data / recipe.photos)
    sampler = load_pairs(
        arguments.data / recipe.photos,
        scale=config.scales[0],
        device=device,
        generator=generator,
        limit=arguments.limit_photos,
    )
    log.info("%d photographs, %.1f MP of LR", len(sampler.lr.starts), len(sampler.lr.pixels) / 1e6)
    return Trainer(recipe, network, sampler, device)


def _train(trainer: Trainer, arguments: argparse.Namespace, run: Path) -> bool:
    """Trains until the last step, the time limit or a signal; True when the last step is done."""
    stopped = False

    def request_stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    began = saved = time.monotonic()
    recipe = trainer.recipe
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(recipe.name, total=recipe.steps, completed=trainer.progress.step)

        def on_step(progress: RunProgress) -> None:
            nonlocal saved
            bar.update(task, completed=progress.step, description=f"{recipe.name} L1 {progress.loss:.3f}")
            if progress.step % recipe.validate_every == 0:
                _validate(trainer, arguments)
            if time.monotonic() - saved > arguments.save_every_s:
                trainer.save(run / "state.pt")
                saved = time.monotonic()

        trainer.run(
            until=recipe.steps,
            on_step=on_step,
            stop=lambda: stopped or time.monotonic() - began > arguments.stop_after_s,
        )
    trainer.save(run / "state.pt")
    return trainer.progress.step >= recipe.steps


def _validate(trainer: Trainer, arguments: argparse.Namespace) -> None:
    progress, recipe = trainer.progress, trainer.recipe
    folder = arguments.data / "benchmarks" / "Set5" / "HR"
    entry = {"step": float(progress.step), "loss": progress.loss, "seconds": progress.seconds}
    if folder.exists():
        score = evaluate(trainer.average.module, folder, scale=trainer.sampler.scale, device=trainer.device)
        entry["Set5"] = score.psnr
    progress.history.append(entry)
    pace = progress.seconds / max(1, progress.step)
    log.info(
        "step %d/%d  L1 %.3f  Set5 %.3f dB  %.3f s/step  %.0f min left",
        progress.step,
        recipe.steps,
        progress.loss,
        entry.get("Set5", float("nan")),
        pace,
        pace * (recipe.steps - progress.step) / 60,
    )


def _ship(trainer: Trainer, arguments: argparse.Namespace, run: Path, *, measure: bool) -> None:
    """Writes the averaged weights as a checkpoint, scored on every benchmark at hand when `measure`."""
    config = trainer.recipe.config()
    scores: dict[str, float] = {}
    for name in BENCHMARKS if measure else ():
        folder = arguments.data / "benchmarks" / name / "HR"
        if folder.exists():
            score = evaluate(trainer.average.module, folder, scale=trainer.sampler.scale, device=trainer.device)
            scores[name] = round(score.psnr, 3)
            log.info("%s x%d: %.3f dB, SSIM %.4f", name, trainer.sampler.scale, score.psnr, score.ssim)
    path = run / "checkpoint.safetensors"
    save_checkpoint(path, trainer.average.module, config=config, provenance=_provenance(trainer, scores))
    log.info("wrote %s", path)


def _provenance(trainer: Trainer, scores: dict[str, float]) -> dict[str, Any]:
    recipe = trainer.recipe
    return {
        "recipe": recipe.model_dump(mode="json", exclude={"sources", "licence"}),
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


if __name__ == "__main__":
    sys.exit(main())
