"""The degradation GAN: High-to-Low learns to spoil images as real ones are, Low-to-High to restore what it made
(Bulat et al. 2018, section 3).
"""

from pathlib import Path

import torch
from torch import nn

from models import H2lConfig, L2hConfig
from models.degradation import SCALE
from models.discriminators import DegradationDiscriminator
from training import losses
from training.begin import begin_as_bilinear
from training.data import CropSampler
from training.loading import load_table
from training.objectives.base import NETWORK, Objective, Surroundings, channels_last, descend, frozen, signed
from training.objectives.pixel import signed_pixels
from training.recipe import Recipe, at_fraction, config_of
from training.warm import keep_statistics

H2L = "h2l"


class DegradationObjective(Objective):
    """alpha * L2 + beta * hinge GAN for each generator, on unpaired HR and LR images in [-1, 1].

    What Low-to-High is given is detached: its errors do not teach High-to-Low. The recipe's stages say whether one
    of them or both learn in a step; one that does not learn answers in eval mode.
    """

    def __init__(
        self, recipe: Recipe, network: nn.Module, high: CropSampler, low: CropSampler, device: torch.device
    ) -> None:
        super().__init__(recipe, device, high.generator)
        assert recipe.degradation is not None  # the recipe was checked
        self.options = recipe.degradation
        self.high, self.low = high, low
        config, h2l_config = recipe.config(), config_of(self.options.h2l)
        if not isinstance(config, L2hConfig) or not isinstance(h2l_config, H2lConfig):
            raise TypeError("the degradation GAN's recipe is about an l2h, and has an h2l in [degradation]")
        self.h2l_config = h2l_config
        self.l2h, self.h2l = network, h2l_config.build()
        if recipe.begin == "bilinear":
            begin_as_bilinear(self.h2l)
        if recipe.keep_statistics:
            keep_statistics(self.h2l)
        self.low_judge, self.high_judge = (
            DegradationDiscriminator(halvings=halvings, features=self.options.judge_features) for halvings in (2, 4)
        )
        self.l2h_optimiser = self.add(NETWORK, self.l2h, optimiser="optimiser", config=config)
        self.h2l_optimiser = self.add(H2L, self.h2l, optimiser="h2l_optimiser", config=h2l_config)
        self.low_optimiser = self.add("low_judge", self.low_judge, optimiser="low_optimiser")
        self.high_optimiser = self.add("high_judge", self.high_judge, optimiser="high_optimiser")

    @classmethod
    def prepare(cls, recipe: Recipe, network: nn.Module, place: Surroundings) -> "DegradationObjective":
        """Reads both domains."""
        assert recipe.degradation is not None  # the recipe was checked
        generator = torch.Generator().manual_seed(recipe.seed)
        domains = ([recipe.photos], recipe.degradation.low)
        high, low = (
            CropSampler(
                load_table([place.data / folder for folder in folders], device=place.device, limit=place.limit),
                turns=recipe.degradation.turns,
                generator=generator,
            )
            for folders in domains
        )
        return cls(recipe, network, high, low, place.device)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        stage = at_fraction(self.options.stages, step, self.recipe.steps)
        self.h2l.train(stage != "l2h")
        for _ in range(self.options.ratio - 1):
            self._play(step, stage, generators=False)
        terms = self._play(step, stage, generators=True)
        return {"loss": torch.stack([terms[name] for name in terms if name.endswith("_loss")]).sum(), **terms}

    def _play(self, step: int, stage: str, *, generators: bool) -> dict[str, torch.Tensor]:
        """Draws one batch and updates the discriminators with it, and the generators where told."""
        patch = self.recipe.patch_at(step)
        high = channels_last(signed_pixels(self.high.batch(self.recipe.batch, patch * SCALE)))
        low = self._degraded(high, learns=stage != "l2h")
        terms: dict[str, torch.Tensor] = {}
        if stage != "l2h":
            real = channels_last(signed_pixels(self.low.batch(self.recipe.batch, patch)))
            terms["low_judge"] = self._judge(self.low_judge, self.low_optimiser, real, low)
            if generators:
                pixel = losses.pooled_mse(low.float(), high)
                terms |= self._learn("h2l", pixel, low, self.low_judge, self.h2l_optimiser)
        if stage != "h2l":
            with self.autocast():
                restored = signed(self.l2h)(low.detach())
            terms["high_judge"] = self._judge(self.high_judge, self.high_optimiser, high, restored)
            if generators:
                pixel = losses.mse(restored.float(), high)
                terms |= self._learn("l2h", pixel, restored, self.high_judge, self.l2h_optimiser)
        return terms

    def _degraded(self, high: torch.Tensor, *, learns: bool) -> torch.Tensor:
        shape = self.h2l_config.noise_shape(len(high), *high.shape[-2:])
        noise = torch.randn(shape, generator=self.generator).to(self.device)
        with self.autocast(), torch.set_grad_enabled(learns):
            low: torch.Tensor = signed(self.h2l)(high, noise)
        return low

    def _judge(
        self, judge: nn.Module, optimiser: torch.optim.Optimizer, real: torch.Tensor, fake: torch.Tensor
    ) -> torch.Tensor:
        """One update of a discriminator."""
        # In float32: spectral norm would estimate its norms, which outlive the step, in half precision.
        loss = losses.hinge_discriminator(judge(real), judge(fake.detach().float()))
        descend(optimiser, loss)
        return loss.detach()

    def _learn(
        self, name: str, pixel: torch.Tensor, made: torch.Tensor, judge: nn.Module, optimiser: torch.optim.Optimizer
    ) -> dict[str, torch.Tensor]:
        """One update of a generator."""
        with frozen([judge]):
            adversarial = losses.hinge_generator(judge(made.float())) * self.options.beta
            loss = pixel * self.options.alpha + adversarial
            descend(optimiser, loss)
        terms = {f"{name}_loss": loss, f"{name}_pixel": pixel, f"{name}_adversarial": adversarial}
        return {term: value.detach() for term, value in terms.items()}

    def scores(self, averages: dict[str, nn.Module], data: Path, *, full: bool) -> dict[str, float]:
        """Nothing: its answers have no reference to be compared with."""
        return {}
