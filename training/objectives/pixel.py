"""Networks that learn by a pixel loss alone: EDSR, MDSR, SRResNet and ESPCN differ in scales, range and channels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import NetworkConfig
from training import losses
from training.data import PairSampler
from training.evaluate import Evaluated, evaluate
from training.loading import load_pairs
from training.metrics import LUMA_OFFSET, LUMA_WEIGHTS
from training.objectives.base import NETWORK, Objective, Surroundings, channels_last, descend, signed
from training.recipe import Recipe

BENCHMARKS = ("Set5", "Set14", "BSD100")


class PixelObjective(Objective):
    """L1 (EDSR section 3.3) on bicubic pairs of photographs.

    With several scales (MDSR section 3.2) each update draws one and reaches its branch and the shared layers only.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, sampler: PairSampler, device: torch.device) -> None:
        super().__init__(recipe, device, sampler.generator)
        self.config = recipe.config()
        self.sampler = sampler
        self.optimiser = self.add(NETWORK, network, optimiser="optimiser", config=self.config)
        self.forwards = {
            scale: self.compiled(self.answer(self.config.at_scale(network, scale))) for scale in self.config.scales
        }

    @classmethod
    def prepare(cls, recipe: Recipe, network: nn.Module, place: Surroundings) -> "PixelObjective":
        """Reads the recipe's photographs."""
        generator = torch.Generator().manual_seed(recipe.seed)
        scales = recipe.config().scales
        sampler = load_pairs(
            place.data / recipe.photos, scales=scales, device=place.device, generator=generator, limit=place.limit
        )
        return cls(recipe, network, sampler, place.device)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        scale = self.sampler.draw_scale()
        lr, hr = self.sampler.batch(self.recipe.batch, self.recipe.patch_at(step), scale)
        with self.autocast():
            sr = self.forwards[scale](channels_last(self.given(lr)))
        loss = self.loss(self.seen(sr.float(), scale), self.seen(self.wanted(hr), scale))
        descend(self.optimiser, loss)
        return {"loss": loss.detach()}

    def answer(self, network: nn.Module) -> Callable[..., Any]:
        """What of the network's answer is compared."""
        return network

    def given(self, pixels: torch.Tensor) -> torch.Tensor:
        """RGB in 0..255 as the network takes it."""
        return pixels if self.config.value_range == 255 else pixels * (self.config.value_range / 255)

    def wanted(self, pixels: torch.Tensor) -> torch.Tensor:
        """RGB in 0..255 as the answer should be."""
        return self.given(pixels)

    def seen(self, pixels: torch.Tensor, scale: int) -> torch.Tensor:
        """HR pixels [N, C, H, W] without the border that the recipe leaves out of the loss.

        A patch's border is an image's in the networks' eyes: they pad it. What began as another network that pads
        otherwise would spend its first steps on that.
        """
        border = self.recipe.unseen_border * scale
        return pixels[..., border : pixels.shape[-2] - border, border : pixels.shape[-1] - border]

    def loss(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        """How far the answer is from what was wanted."""
        return losses.l1(sr, hr)

    def scores(self, averages: dict[str, nn.Module], data: Path, *, full: bool) -> dict[str, float]:
        return benchmark_scores(self.config, averages[NETWORK], data, self.device, full=full)


class SignedObjective(PixelObjective):
    """MSE between images in [-1, 1]: SRResNet (SRGAN sections 2.2.1 and 3.2)."""

    def answer(self, network: nn.Module) -> Callable[..., Any]:
        return signed(network)

    def wanted(self, pixels: torch.Tensor) -> torch.Tensor:
        return signed_pixels(pixels)

    def loss(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        return losses.mse(sr, hr)


class LumaObjective(PixelObjective):
    """MSE on Y (ESPCN section 3). The bicubic LR of Y is, up to rounding, the Y of the bicubic LR."""

    def given(self, pixels: torch.Tensor) -> torch.Tensor:
        return luma_pixels(pixels)

    def loss(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        return losses.mse(sr, hr)


def signed_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """0..255 to [-1, 1]."""
    return pixels * (2 / 255) - 1


def luma_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """RGB [N, 3, H, W] in 0..255 to Y [N, 1, H, W] over 255, studio range (docs/decisions/0014)."""
    weights = torch.tensor(LUMA_WEIGHTS, device=pixels.device).view(1, 3, 1, 1)
    luma: torch.Tensor = ((pixels * weights).sum(dim=1, keepdim=True) / 255 + LUMA_OFFSET) / 255
    return luma


def benchmark_scores(
    config: NetworkConfig, network: nn.Module, data: Path, device: torch.device, *, full: bool
) -> dict[str, float]:
    """PSNR on Y of every benchmark and scale; the scale is named where there are several."""
    found = {}
    for name in BENCHMARKS if full else BENCHMARKS[:1]:
        folder = data / "benchmarks" / name / "HR"
        if not folder.exists():
            continue
        for scale in config.scales:
            label = name if len(config.scales) == 1 else f"{name} x{scale}"
            evaluated = Evaluated(config.at_scale(network, scale), config.input_kind, config.value_range)
            found[label] = evaluate(evaluated, folder, scale=scale, device=device).psnr
    return found
