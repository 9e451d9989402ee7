"""What a family learns from: its networks, its optimisers, its data, and one update of them. The loop does the rest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import NetworkConfig
from training.recipe import Recipe

NETWORK = "network"  # the name of the network that the recipe is about


@dataclass(frozen=True)
class Surroundings:
    """Where a run takes place: the folder that recipes' paths are relative to, the device, how many photographs."""

    data: Path
    device: torch.device
    limit: int | None = None


class Objective(ABC):
    """Base of all objectives.

    `networks` and `optimisers` are what a saved state holds, by name; `shipped` names those that are averaged,
    validated and written as checkpoints. All randomness of an update comes from `generator`, a CPU generator.
    """

    def __init__(self, recipe: Recipe, device: torch.device, generator: torch.Generator) -> None:
        self.recipe = recipe
        self.device = device
        self.generator = generator
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.shipped: dict[str, NetworkConfig] = {}

    @abstractmethod
    def update(self, step: int) -> dict[str, torch.Tensor]:
        """One update; "loss" and whatever terms are worth a log line, as detached tensors still on the device."""

    @abstractmethod
    def scores(self, averages: dict[str, nn.Module], data: Path, *, full: bool) -> dict[str, float]:
        """PSNR in dB of the averaged networks by name of the test set, for those at hand; `full` takes them all."""

    def add(
        self, name: str, network: nn.Module, *, optimiser: str, config: NetworkConfig | None = None
    ) -> torch.optim.Optimizer:
        """Enters a network with its own Adam under the names they have in a state; with `config` it is shipped."""
        moved: nn.Module = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks[name] = moved
        if config is not None:
            self.shipped[name] = config
        adam = torch.optim.Adam(
            trainable(moved), lr=self.recipe.learning_rate, betas=self.recipe.betas, fused=self.device.type == "cuda"
        )
        self.optimisers[optimiser] = adam
        return adam

    def compiled(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, compiled where the recipe and the device say so."""
        if self.recipe.compile and self.device.type == "cuda":
            compiled: Callable[..., Any] = torch.compile(forward, mode="max-autotune-no-cudagraphs")
            return compiled
        return forward

    def autocast(self) -> torch.autocast:
        """Context in which networks may run in bfloat16; losses belong outside of it."""
        enabled = self.recipe.amp == "bf16" and self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """Parameters that have a gradient."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step down. Parameters that had no part in the loss stay as they are, and so do their moments."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


class frozen:  # noqa: N801 - used like a function
    """Context in which networks pass gradients on and collect none: a discriminator while its opponent learns."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self.networks = list(networks)

    def __enter__(self) -> None:
        for network in self.networks:
            network.requires_grad_(requires_grad=False)

    def __exit__(self, *_: object) -> None:
        for network in self.networks:
            network.requires_grad_(requires_grad=True)


def signed(network: nn.Module) -> Callable[..., Any]:
    """The network's answer in [-1, 1].

    Raises:
        TypeError: it has no such answer.
    """
    forward: Callable[..., Any] | None = getattr(network, "signed", None)
    if forward is None:
        raise TypeError(f"{type(network).__name__} has no answer in [-1, 1]")
    return forward


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """The layout that convolutions are fastest in."""
    return images.contiguous(memory_format=torch.channels_last)
