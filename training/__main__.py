"""`python -m training RECIPE`: trains, validates, saves, resumes; a finished run is measured and its weights kept."""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from models.checkpoint import load_checkpoint
from models.edsr import Edsr, start_from
from models.mdsr import Mdsr
from models.srresnet import Srresnet
from models.vespcn import Vespcn
from training.begin import begin_as_bilinear
from training.loading import small_photographs
from training.loop import Progress as RunProgress
from training.loop import Trainer
from training.objectives import Surroundings, prepare
from training.recipe import Recipe, read_recipe
from training.shipping import ship
from training.warm import begin_as_edsr, begin_as_single_frame, keep_statistics
from training.warm_mdsr import begin_mdsr_as_edsr

log = logging.getLogger("training")


def main() -> int:
    """Runs a recipe; returns 0 when its last step is done, 3 when it was stopped before (run again to resume)."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    recipe = read_recipe(arguments.recipe, steps=arguments.steps, start_from=arguments.start_from)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    run = arguments.runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    trainer = _prepare(recipe, Surroundings(arguments.data, device, arguments.limit_photos))
    if (run / "state.pt").exists():
        trainer.load(run / "state.pt")
        log.info("resumed at step %d of %d", trainer.progress.step, recipe.steps)
    finished = _train(trainer, arguments, run)
    ship(trainer, run, arguments.data, measure=finished or arguments.measure)
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
    parser.add_argument("--limit-photos", type=int, help="use only the first photographs or clips (for trying)")
    parser.add_argument("--measure", action="store_true", help="score on all test sets even if stopped early")
    return parser.parse_args()


def _prepare(recipe: Recipe, place: Surroundings) -> Trainer:
    torch.manual_seed(recipe.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    network = recipe.config().build()
    if recipe.begin == "bilinear":
        begin_as_bilinear(network)
    if recipe.start_from:
        _start(network, recipe, place)
    if isinstance(network, Vespcn) and recipe.video is not None and recipe.video.fusion_from:
        begin_as_single_frame(network, load_checkpoint(Path(recipe.video.fusion_from)).network)
        log.info("began as the single-frame network of %s", recipe.video.fusion_from)
    if recipe.keep_statistics:
        keep_statistics(network)
    began = time.monotonic()
    objective = prepare(recipe, network, place)
    log.info("data and networks ready after %.1f s", time.monotonic() - began)
    return Trainer(recipe, objective, place.device)


def _start(network: nn.Module, recipe: Recipe, place: Surroundings) -> None:
    assert recipe.start_from is not None  # who calls this has looked
    trained = load_checkpoint(Path(recipe.start_from)).network
    new: list[str] = []
    if isinstance(network, Srresnet) and isinstance(trained, Edsr):
        begin_as_edsr(network, trained, small_photographs(place.data / recipe.photos))
    elif isinstance(network, Mdsr) and isinstance(trained, Edsr):
        begin_mdsr_as_edsr(network, trained)
    else:
        new = start_from(network, trained)
    log.info("started from %s; new: %s", recipe.start_from, ", ".join(new) or "nothing")


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
            bar.update(task, completed=progress.step, description=f"{recipe.name} {_losses(progress)}")
            if progress.step % recipe.validate_every == 0:
                _validate(trainer, arguments.data)
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


def _validate(trainer: Trainer, data: Path) -> None:
    progress, recipe = trainer.progress, trainer.recipe
    scores = trainer.objective.scores(trainer.shipped, data, full=False)
    entry = {"step": float(progress.step), "loss": progress.loss, "seconds": progress.seconds}
    progress.history.append({**entry, **progress.terms, **scores})
    pace = progress.seconds / max(1, progress.step)
    log.info(
        "step %d/%d  %s  %s  %.3f s/step  %.0f min left",
        progress.step,
        recipe.steps,
        _losses(progress),
        "  ".join(f"{name} {psnr:.3f} dB" for name, psnr in scores.items()) or "no test set",
        pace,
        pace * (recipe.steps - progress.step) / 60,
    )


def _losses(progress: RunProgress) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in {"loss": progress.loss, **progress.terms}.items())


if __name__ == "__main__":
    sys.exit(main())
