"""The training loop: one step after another, resumable at any of them, on a CPU or a GPU."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.data import PairSampler
from training.recipe import Recipe


@dataclass
class Progress:
    """What a run has been through: kept in its state, printed while it goes on."""

    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0  # running mean of L1 in grey levels
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """L1 loss, Adam, exponential moving average of the weights (EDSR section 3.3; the average is newer practice).

    The optimiser's betas are the paper's. What is validated and shipped is the average, never the raw weights.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, sampler: PairSampler, device: torch.device) -> None:
        self.recipe = recipe
        self.sampler = sampler
        self.device = device
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
        trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.Adam(
            trainable, lr=recipe.learning_rate, betas=(0.9, 0.999), fused=device.type == "cuda"
        )
        self.progress = Progress()
        self._forward: Callable[[torch.Tensor], torch.Tensor] = self.network
        if recipe.compile and device.type == "cuda":
            self._forward = torch.compile(self.network, mode="max-autotune-no-cudagraphs")

    def step(self) -> torch.Tensor:
        """One update; returns the loss as a tensor on the device, so that a GPU is not waited for."""
        recipe, progress = self.recipe, self.progress
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(progress.step)
        lr, hr = self.sampler.batch(recipe.batch, recipe.patch_at(progress.step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._amp()):
            sr = self._forward(lr.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.l1_loss(sr.float(), hr)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.average.update_parameters(self.network)
        progress.step += 1
        return loss.detach()

    def run(self, *, until: int, on_step: Callable[[Progress], None], stop: Callable[[], bool] = lambda: False) -> None:
        """Steps until `until`, or until `stop` says so; `on_step` is called after each with the progress so far.

        Raises:
            FloatingPointError: the loss is not finite; the state on disk is still the last good one.
        """
        pending: list[torch.Tensor] = []
        began = time.perf_counter()
        while self.progress.step < until and not stop():
            pending.append(self.step())
            if len(pending) == 20 or self.progress.step >= until or self.device.type == "cpu":
                self._book(pending)
                now = time.perf_counter()
                self.progress.seconds += now - began
                began = now
            on_step(self.progress)

    def _book(self, pending: list[torch.Tensor]) -> None:
        for loss in torch.stack(pending).tolist():
            if loss != loss or loss == float("inf"):
                raise FloatingPointError(f"the loss became {loss} at step {self.progress.step}")
            self.progress.loss += (loss - self.progress.loss) * (0.02 if self.progress.loss else 1.0)
        pending.clear()

    def _amp(self) -> bool:
        return self.recipe.amp == "bf16" and self.device.type == "cuda"

    def save(self, path: Path) -> None:
        """Writes all that a resumed run needs, atomically."""
        partial = path.with_name(path.name + ".partial")
        torch.save(self._state(), partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Takes up a saved run; the recipe's length may differ, its network may not.

        Raises:
            RuntimeError: the state is of another network.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.sampler.generator.set_state(state["generator"].cpu())
        self.progress = Progress(**state["progress"])

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.sampler.generator.get_state(),
            "progress": vars(self.progress),
        }
