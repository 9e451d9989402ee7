"""The training loop: one update after another, resumable at any of them, on a CPU or a GPU, for every family."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.objectives.base import NETWORK, Objective
from training.recipe import Recipe


@dataclass
class Progress:
    """What a run has been through: kept in its state, printed while it goes on."""

    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0  # running mean, in the objective's unit: grey levels of L1 for EDSR
    terms: dict[str, float] = field(default_factory=dict)  # running means of what else the objective reports
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Runs an objective and keeps exponential moving averages of the networks that it ships.

    What is validated and shipped is the average, never the raw weights. BatchNorm's statistics are averaged alike.
    """

    def __init__(self, recipe: Recipe, objective: Objective, device: torch.device) -> None:
        self.recipe = recipe
        self.objective = objective
        self.device = device
        average = get_ema_multi_avg_fn(recipe.ema_decay)
        self.averages = {
            name: AveragedModel(objective.networks[name], multi_avg_fn=average, use_buffers=True)
            for name in objective.shipped
        }
        self.progress = Progress()

    @property
    def shipped(self) -> dict[str, nn.Module]:
        """The averaged networks by name."""
        return {name: average.module for name, average in self.averages.items()}

    def step(self) -> dict[str, torch.Tensor]:
        """One update; returns the loss and its terms as tensors on the device, so that a GPU is not waited for."""
        for optimiser in self.objective.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.rate_at(self.progress.step)
        terms = self.objective.update(self.progress.step)
        for name, average in self.averages.items():
            average.update_parameters(self.objective.networks[name])
        self.progress.step += 1
        return terms

    def run(self, *, until: int, on_step: Callable[[Progress], None], stop: Callable[[], bool] = lambda: False) -> None:
        """Steps until `until`, or until `stop` says so; `on_step` is called after each with the progress so far.

        Raises:
            FloatingPointError: the loss is not finite; the state on disk is still the last good one.
        """
        pending: list[dict[str, torch.Tensor]] = []
        began = time.perf_counter()
        while self.progress.step < until and not stop():
            pending.append(self.step())
            if len(pending) == 20 or self.progress.step >= until or self.device.type == "cpu":
                self._book(pending)
                now = time.perf_counter()
                self.progress.seconds += now - began
                began = now
            on_step(self.progress)

    def _book(self, pending: list[dict[str, torch.Tensor]]) -> None:
        for terms in pending:
            values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
            loss = values.pop("loss")
            if loss != loss or loss == float("inf"):
                raise FloatingPointError(f"the loss became {loss} at step {self.progress.step}")
            self.progress.loss += (loss - self.progress.loss) * (0.02 if self.progress.loss else 1.0)
            for name, value in values.items():
                before = self.progress.terms.get(name, value)
                self.progress.terms[name] = before + (value - before) * 0.02
        pending.clear()

    def save(self, path: Path) -> None:
        """Writes all that a resumed run needs, atomically."""
        partial = path.with_name(path.name + ".partial")
        torch.save(self._state(), partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Takes up a saved run; the recipe's length may differ, its networks may not.

        Raises:
            RuntimeError: the state is of other networks.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        if missing := sorted(self._state().keys() - state.keys()):
            raise RuntimeError(f"{path} is the state of another kind of run: it has no {', '.join(missing)}")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.objective.generator.set_state(state["generator"].cpu())
        self.progress = Progress(**state["progress"])

    def _state(self) -> dict[str, Any]:
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            "generator": self.objective.generator.get_state(),
            "progress": vars(self.progress),
        }

    def _parts(self) -> dict[str, Any]:
        """Everything with a state of its own, by its name in the file."""
        averages = {
            "average" if name == NETWORK else f"average_{name}": average for name, average in self.averages.items()
        }
        return {**self.objective.networks, **averages, **self.objective.optimisers}
