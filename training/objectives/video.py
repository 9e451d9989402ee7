"""VESPCN on windows of frames: motion compensation first, then fusion, then both (Caballero et al., section 3.3)."""

from pathlib import Path

import torch
from torch import nn

from models import VespcnConfig
from models.vespcn import Vespcn
from training import losses
from training.data import PixelTable
from training.evaluate import evaluate_clip, mean
from training.frames import Clip, WindowSampler, find_clips, read_clips
from training.loading import load_table
from training.objectives.base import NETWORK, Objective, Surroundings, descend
from training.recipe import Recipe, at_fraction
from training.synthetic import MotionSampler

STAGE_WEIGHTS = {"motion": (1.0, 0.01), "joint": (0.01, 0.001)}  # beta and lambda (section 3.3)
VALIDATION_WINDOWS = 30  # per clip at the end, a tenth of them while training


class VideoObjective(Objective):
    """MSE of Y, and of the warp with the flow's smoothness, stage by stage.

    `clips` are real windows, `made` those with motion made from photographs; at least one of them. Networks of a
    single frame or without motion compensation learn by the MSE of Y in all stages. The flow's penalty is in the
    paper's unit, 1 for the largest displacement.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        *,
        clips: WindowSampler | None,
        made: MotionSampler | None,
        held_out: list[Clip],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        super().__init__(recipe, device, generator)
        config = recipe.config()
        if not isinstance(config, VespcnConfig) or not isinstance(network, Vespcn):
            raise TypeError("windows of frames are for a vespcn")
        assert recipe.video is not None  # the recipe was checked
        self.config, self.options = config, recipe.video
        self.vespcn = network
        self.clips, self.made, self.held_out = clips, made, held_out
        self.optimiser = self.add(NETWORK, network, optimiser="optimiser", config=config)

    @classmethod
    def prepare(cls, recipe: Recipe, network: nn.Module, place: Surroundings) -> "VideoObjective":
        """Decodes the recipe's clips and reads its photographs, as far as it wants them."""
        config, options = recipe.config(), recipe.video
        assert options is not None  # the recipe was checked
        scale, frames, shrink = config.scales[0], config.frame_window, options.shrink
        generator = torch.Generator().manual_seed(recipe.seed)
        clips, made = None, None
        if options.synthetic < 1:
            paths = find_clips(place.data, options.clips)[: place.limit]
            read = read_clips(paths, scale=scale, frames=frames, windows=options.windows, shrink=shrink)
            clips = WindowSampler(read, scale=scale, device=place.device, generator=generator)
        if options.synthetic > 0:
            table: PixelTable = load_table([place.data / recipe.photos], device=place.device, limit=place.limit)
            made = MotionSampler(table, scale=scale, frames=frames, speed=options.speed, generator=generator)
        held_out = read_clips(
            find_clips(place.data, options.held_out),
            scale=scale,
            frames=frames,
            windows=VALIDATION_WINDOWS,
            shrink=shrink,
        )
        return cls(recipe, network, clips=clips, made=made, held_out=held_out, generator=generator, device=place.device)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        frames, hr = self._batch(self.recipe.patch_at(step))
        stage = at_fraction(self.options.stages, step, self.recipe.steps) if self.config.motion else "fusion"
        with self.autocast():
            terms = self._terms(stage, frames, hr)
        loss = torch.stack(list(terms.values())).sum()
        descend(self.optimiser, loss)
        return {"loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}

    def _batch(self, patch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """LR and HR luma in 0..1, from clips or photographs as the recipe's share says."""
        sampler: WindowSampler | MotionSampler | None = self.clips or self.made
        if self.clips is not None and self.made is not None:
            real = float(torch.rand((), generator=self.generator)) >= self.options.synthetic
            sampler = self.clips if real else self.made
        assert sampler is not None
        lr, hr = sampler.batch(self.recipe.batch, patch)
        return lr / 255, hr / 255

    def _terms(self, stage: str, frames: torch.Tensor, hr: torch.Tensor) -> dict[str, torch.Tensor]:
        if not self.config.motion:
            return {"sr": losses.mse(self.vespcn.fusion(frames).float(), hr)}
        with torch.set_grad_enabled(stage != "fusion"):
            window = self.vespcn.compensated(frames)
        terms = {}
        if stage != "motion":
            terms["sr"] = losses.mse(self.vespcn.fusion(window.frames).float(), hr)
        if stage != "fusion":
            beta, weight = STAGE_WEIGHTS[stage]
            weight *= self.options.smoothness
            flow = window.flow / self.config.max_disp
            terms["motion"] = losses.motion(window.frames.float(), flow, beta=beta, weight=weight)
        return terms

    def scores(self, averages: dict[str, nn.Module], data: Path, *, full: bool) -> dict[str, float]:
        """The mean over held-out clips of the mean PSNR of their middle frames."""
        if not self.held_out:
            return {}
        every = 1 if full else 10
        psnrs = [evaluate_clip(averages[NETWORK], clip, device=self.device, every=every) for clip in self.held_out]
        return {"clips": mean(psnrs)}
