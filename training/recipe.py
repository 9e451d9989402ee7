"""Recipes: TOML files that say what makes a training run, and nothing else does."""

import math
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models import FAMILIES, NetworkConfig

SOURCES = Path(__file__).with_name("sources.toml")
Value = TypeVar("Value")


class Table(BaseModel):
    """A table of a recipe: misspelt fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Table):
    """Where training data comes from, and under which licence; goes into the weights' header."""

    name: str
    licence: str


class Perceptual(Table):
    """Content loss between features of a classifier (SRGAN section 2.2.1); see training.perceptual."""

    backbone: Literal["vgg19", "efficientnet_lite0"]
    weights: str | None = Field(
        default=None, description="torchvision's VGG19 state dict; None: the file of the extra 'perceptual'"
    )
    weight: float = Field(ge=0, default=1.0)


class Adversarial(Table):
    """SRGAN's terms besides the content loss, for networks that take part in an adversarial game."""

    weight: float = Field(ge=0, default=1e-3)
    pixel_weight: float = Field(ge=0, default=0.0, description="of a pixel MSE on [-1, 1], which the paper has not")


class Degradation(Table):
    """The degradation GAN's second generator, domains and weights (Bulat et al., section 3.3)."""

    h2l: dict[str, Any] = Field(description="config of the High-to-Low network; the recipe's own is Low-to-High")
    low: tuple[str, ...] = Field(description="folders of real LR images, relative to the data folder")
    alpha: float = Field(ge=0, default=1.0, description="weight of the L2 pixel terms")
    beta: float = Field(ge=0, default=0.05, description="weight of the adversarial terms")
    judge_features: int = Field(gt=0, default=128, description="width of the discriminators")
    ratio: int = Field(gt=0, default=1, description="updates of the discriminators for one of the generators")
    turns: Literal[1, 2, 8] = Field(default=2, description="augmentation: 1 none, 2 mirrored, 8 all turns")
    stages: tuple[tuple[float, Literal["h2l", "l2h", "both"]], ...] = Field(
        default=((0.0, "both"),), description="(fraction from which, which generators learn), in order"
    )


class Video(Table):
    """What VESPCN learns from and in which stages (Caballero et al., sections 3.3 and 4.1)."""

    clips: tuple[str, ...] = Field(default=(), description="files or patterns, relative to the data folder")
    held_out: tuple[str, ...] = Field(default=(), description="clips to validate on, never to train on")
    shrink: int = Field(gt=0, default=1, description="clips are divided by this first, which removes coding traces")
    windows: int = Field(gt=0, default=30, description="windows taken from each clip, evenly spaced")
    synthetic: float = Field(ge=0, le=1, default=0.0, description="share of batches with motion made from photographs")
    speed: float = Field(ge=0, default=4.0, description="largest synthetic motion, LR pixels per frame")
    smoothness: float = Field(
        gt=0, default=1.0, description="weight of the flow's penalty, times the paper's; see training/README.md"
    )
    fusion_from: str | None = Field(
        default=None, description="checkpoint of the single-frame network that the fusion begins as"
    )
    stages: tuple[tuple[float, Literal["motion", "fusion", "joint"]], ...] = Field(
        default=((0.0, "motion"), (1 / 3, "fusion"), (2 / 3, "joint")),
        description="(fraction from which, what learns), in order; without motion compensation always fusion",
    )


class Recipe(Table):
    """Settings of one run. Fractions are of `steps`; patch sizes are LR pixels; rates belong to the value range."""

    name: str
    network: dict[str, Any]
    photos: str = Field(description="folder of HR photographs, relative to the data folder")
    sources: tuple[Source, ...]
    licence: str
    steps: int = Field(gt=0)
    batch: int = Field(gt=0, default=16)
    patches: tuple[tuple[float, int], ...] = Field(
        default=((0.0, 48),), description="(fraction from which, LR patch size), in order"
    )
    learning_rate: float = Field(gt=0, default=1e-4)
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="Adam's")
    schedule: Literal["halve", "tenth", "cosine", "constant"] = Field(
        default="halve",
        description="halved at two thirds (EDSR), a tenth from half on (SRGAN), a cosine to zero, or constant",
    )
    warmup_steps: int = Field(ge=0, default=0)
    ema_decay: float = Field(ge=0, lt=1, default=0.999)
    seed: int = 0
    start_from: str | None = Field(default=None, description="checkpoint whose fitting tensors are taken over")
    begin: Literal["random", "bilinear"] = Field(
        default="random",
        description="weights before the first step; see training.begin for the families that can be bilinear",
    )
    unseen_border: int = Field(
        ge=0, default=0, description="LR pixels at each side of a patch that a pixel loss leaves out"
    )
    keep_statistics: bool = Field(default=False, description="BatchNorm's, instead of each batch's; see training.warm")
    validate_every: int = Field(gt=0, default=1000)
    amp: Literal["none", "bf16"] = Field(default="none", description="autocast on CUDA; fp32 on the CPU")
    compile: bool = Field(default=False, description="torch.compile on CUDA")
    perceptual: Perceptual | None = None
    adversarial: Adversarial = Adversarial()
    degradation: Degradation | None = None
    video: Video | None = None

    @model_validator(mode="after")
    def _has_its_tables(self) -> "Recipe":
        for family, table in (("l2h", "degradation"), ("vespcn", "video"), ("srgan", "perceptual")):
            if self.network.get("family") == family and getattr(self, table) is None:
                raise ValueError(f"a recipe for {family} needs a table [{table}]")
        if 2 * self.unseen_border >= min(patch for _, patch in self.patches):
            raise ValueError(f"an unseen border of {self.unseen_border} leaves nothing of the smallest patch")
        return self

    def config(self) -> NetworkConfig:
        """The network's config.

        Raises:
            ValueError: unknown family or fields that do not fit it.
        """
        return config_of(self.network)

    def patch_at(self, step: int) -> int:
        """LR patch size of a step."""
        return at_fraction(self.patches, step, self.steps)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "halve":
            return self.learning_rate * (0.5 if step * 3 >= self.steps * 2 else 1.0)
        if self.schedule == "tenth":
            return self.learning_rate * (0.1 if step * 2 >= self.steps else 1.0)
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def config_of(record: dict[str, Any]) -> NetworkConfig:
    """The config that a recipe's table describes.

    Raises:
        ValueError: unknown family or fields that do not fit it.
    """
    family = FAMILIES.get(str(record.get("family")))
    if family is None:
        raise ValueError(f"unknown family in {record}; families: {', '.join(sorted(FAMILIES))}")
    return family.from_dict(record)


def at_fraction(stages: tuple[tuple[float, Value], ...], step: int, steps: int) -> Value:
    """The value of the last entry (fraction from which, value) that has begun at `step`."""
    return [value for start, value in stages if step >= start * steps][-1]


def read_recipe(path: Path, **overrides: object) -> Recipe:
    """Reads a recipe file; overrides that are None are ignored.

    An entry of its `sources` may be the name of a group in sources.toml.

    Raises:
        ValueError: not TOML, or not a recipe; the message names the field.
    """
    values = tomllib.loads(path.read_text())
    values.update({name: value for name, value in overrides.items() if value is not None})
    if isinstance(sources := values.get("sources"), list):
        values["sources"] = [source for entry in sources for source in _group(entry)]
    return Recipe.model_validate(values)


def _group(entry: object) -> list[object]:
    if not isinstance(entry, str):
        return [entry]
    groups: dict[str, list[object]] = tomllib.loads(SOURCES.read_text())
    if entry not in groups:
        raise ValueError(f"sources: no group {entry!r} in {SOURCES.name}; groups: {', '.join(groups)}")
    return groups[entry]
