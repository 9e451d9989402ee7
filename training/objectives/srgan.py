"""SRGAN: the generator and its opponent learn in turns (Ledig et al., sections 2.2 and 3.2)."""

from pathlib import Path

import torch
from torch import nn

from models.discriminators import SrganDiscriminator
from training import losses
from training.data import PairSampler
from training.loading import load_pairs
from training.objectives.base import NETWORK, Objective, Surroundings, channels_last, descend, frozen, signed
from training.objectives.pixel import benchmark_scores, signed_pixels
from training.perceptual import FeatureLoss, feature_loss
from training.recipe import Recipe


class SrganObjective(Objective):
    """Content between features plus 1e-3 of the adversarial term, the two networks updated 1:1.

    The generator should start from an SRResNet (`start_from`). The discriminator sees [-1, 1], the features [0, 1].
    Raises ValueError when patches change size: the discriminator's first linear layer belongs to one.
    """

    def __init__(
        self, recipe: Recipe, network: nn.Module, sampler: PairSampler, content: FeatureLoss, device: torch.device
    ) -> None:
        super().__init__(recipe, device, sampler.generator)
        self.config = recipe.config()
        self.sampler = sampler
        self.content = content.to(device)
        sizes = {patch for _, patch in recipe.patches}
        if len(sizes) != 1:
            raise ValueError(f"srgan's discriminator takes one size of patches, not {sorted(sizes)}")
        self.discriminator = SrganDiscriminator(crop=sizes.pop() * self.config.scales[0])
        self.generator_optimiser = self.add(NETWORK, network, optimiser="optimiser", config=self.config)
        self.discriminator_optimiser = self.add(
            "discriminator", self.discriminator, optimiser="discriminator_optimiser"
        )
        self.forward = self.compiled(signed(network))
        self.judge = self.compiled(self.discriminator)

    @classmethod
    def prepare(cls, recipe: Recipe, network: nn.Module, place: Surroundings) -> "SrganObjective":
        """Reads the recipe's photographs and the backbone of its content loss."""
        assert recipe.perceptual is not None  # the recipe was checked
        content = feature_loss(recipe.perceptual)
        generator = torch.Generator().manual_seed(recipe.seed)
        sampler = load_pairs(
            place.data / recipe.photos,
            scales=recipe.config().scales,
            device=place.device,
            generator=generator,
            limit=place.limit,
        )
        return cls(recipe, network, sampler, content, place.device)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        lr, hr = self.sampler.batch(self.recipe.batch, self.recipe.patch_at(step))
        real = channels_last(signed_pixels(hr))
        with self.autocast():
            fake = self.forward(channels_last(lr / 255))
        return {**self._update_discriminator(real, fake.detach()), **self._update_generator(real, fake)}

    def _update_discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        with self.autocast():
            on_real, on_fake = self.judge(real), self.judge(fake)
        loss = losses.adversarial_discriminator(on_real.float(), on_fake.float())
        descend(self.discriminator_optimiser, loss)
        return {"discriminator": loss.detach()}

    def _update_generator(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        weights, perceptual = self.recipe.adversarial, self.recipe.perceptual
        with frozen([self.discriminator]):
            with self.autocast():
                judged = self.judge(fake)
                content = self.content(fake * 0.5 + 0.5, real * 0.5 + 0.5)
            content = content * (1.0 if perceptual is None else perceptual.weight)
            adversarial = losses.adversarial_generator(judged.float()) * weights.weight
            pixel = losses.mse(fake.float(), real) * weights.pixel_weight
            loss = content + adversarial + pixel
            descend(self.generator_optimiser, loss)
        terms = {"loss": loss, "content": content, "adversarial": adversarial, "pixel": pixel}
        return {name: term.detach() for name, term in terms.items()}

    def scores(self, averages: dict[str, nn.Module], data: Path, *, full: bool) -> dict[str, float]:
        return benchmark_scores(self.config, averages[NETWORK], data, self.device, full=full)
