"""A tiny run of every family, on patches of one photograph of scikit-image."""

from typing import Any

import numpy as np
import torch
from skimage.data import astronaut
from torch import nn

from models.vespcn import Vespcn
from training.data import CropSampler, PairSampler, PixelTable
from training.frames import Clip, WindowSampler, around
from training.loop import Trainer
from training.objectives.base import Objective
from training.objectives.degradation import DegradationObjective
from training.objectives.pixel import LumaObjective, PixelObjective, SignedObjective
from training.objectives.srgan import SrganObjective
from training.objectives.video import VideoObjective
from training.perceptual import FeatureLoss
from training.recipe import Recipe
from training.resize import downscale
from training.synthetic import MotionSampler

CPU = torch.device("cpu")
L2H = {"family": "l2h", "upsampling": "equivariant", "features": 8, "narrow_features": 8, "head_features": 8}
SMALL: dict[str, dict[str, Any]] = {
    "edsr": {"network": {"family": "edsr", "scale": 2, "blocks": 1, "features": 8}},
    "mdsr": {"network": {"family": "mdsr", "blocks": 1, "features": 8}},
    "srresnet": {"network": {"family": "srresnet", "scale": 2, "blocks": 1, "features": 8}},
    "srgan": {
        "network": {"family": "srgan", "scale": 2, "blocks": 1, "features": 8},
        "perceptual": {"backbone": "vgg19"},
    },
    "l2h": {
        "network": {**L2H, "blocks": 1, "narrow_blocks": 1},
        "betas": (0.0, 0.9),
        "degradation": {
            "h2l": {"family": "h2l", "features": 8, "noise": "map"},
            "low": ["low"],
            "judge_features": 8,
        },
    },
    "espcn": {"network": {"family": "espcn", "scale": 3, "features": 8, "narrow_features": 8}},
    "vespcn": {
        "network": {"family": "vespcn", "scale": 3, "layers": 3, "features": 8},
        "video": {"synthetic": 0.5, "speed": 2.0},
    },
    "vespcn single": {
        "network": {"family": "vespcn", "scale": 2, "layers": 3, "features": 8, "frames": 1, "motion": False},
        "video": {},
    },
}


def recipe(case: str = "edsr", **changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "small",
        "photos": "photos",
        "sources": [],
        "licence": "Apache-2.0",
        "steps": 12,
        "batch": 2,
        "patches": [(0.0, 8)],
        "learning_rate": 1e-3,
        "ema_decay": 0.9,
    }
    return Recipe.model_validate({**values, **SMALL[case], **changes})


def trainer(run: Recipe, seed: int = 5, *, one_place: bool = False) -> Trainer:
    """With `one_place` the photograph is no larger than a patch: every batch shows the same, turned."""
    torch.manual_seed(seed)
    return Trainer(run, objective(run, 24 * (2 if one_place else 6)), CPU)


def objective(run: Recipe, side: int) -> Objective:
    config, network = run.config(), run.config().build()
    generator = torch.Generator().manual_seed(run.seed)
    photo = np.ascontiguousarray(astronaut()[100 : 100 + side, 160 : 160 + side])
    table = PixelTable.of([photo], CPU)
    if config.family == "l2h":
        crops = [CropSampler(t, turns=2, generator=generator) for t in (table, PixelTable.of([photo[::4, ::4]], CPU))]
        return DegradationObjective(run, network, crops[0], crops[1], CPU)
    if isinstance(network, Vespcn):
        clip = moving_clip(photo, config.scales[0], config.frame_window)
        clips = WindowSampler([clip], scale=config.scales[0], device=CPU, generator=generator)
        made = None
        if run.video is not None and run.video.synthetic:
            made = MotionSampler(
                PixelTable.of([astronaut()], CPU), scale=config.scales[0], frames=3, speed=2.0, generator=generator
            )
        return VideoObjective(run, network, clips=clips, made=made, held_out=[clip], generator=generator, device=CPU)
    lr = {scale: PixelTable.of([downscale(photo, scale)], CPU) for scale in config.scales}
    sampler = PairSampler(lr, table, generator=generator)
    if config.family == "srgan":
        return SrganObjective(run, network, sampler, FeatureLoss(Edges(), 1.0), CPU)
    kinds = {"edsr": PixelObjective, "mdsr": PixelObjective, "srresnet": SignedObjective, "espcn": LumaObjective}
    return kinds[config.family](run, network, sampler, CPU)


def moving_clip(photo: np.ndarray, scale: int, frames: int) -> Clip:
    """Five frames of a photograph that moves two HR pixels to the left per frame."""
    side = photo.shape[0] // scale * scale - 12 // scale * scale
    hr = [np.ascontiguousarray(photo[:side, 2 * time : 2 * time + side, 1]) for time in range(5)]
    return Clip([downscale(frame, scale) for frame in hr], hr, around(np.arange(5), frames, 5))


class Edges(nn.Module):
    """Stands for a classifier's features: what is left of a picture without its mean brightness."""

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images[..., 1:, 1:] - images[..., :-1, 1:], images[..., 1:, 1:] - images[..., 1:, :-1]], 1)
