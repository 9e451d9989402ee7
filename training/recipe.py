"""A recipe: one TOML file that says all that makes a training run, and nothing else does."""

import math
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models import FAMILIES, NetworkConfig


class Source(BaseModel):
    """Where training data comes from, and under which licence; goes into the weights' header."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    licence: str


class Recipe(BaseModel):
    """Settings of one run. Fractions are of `steps`; patch sizes are LR pixels; the rate is for 0..255 pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    schedule: Literal["halve", "cosine"] = Field(
        default="halve", description="the paper's (halved at two thirds of the steps) or a cosine to zero"
    )
    warmup_steps: int = Field(ge=0, default=0)
    ema_decay: float = Field(ge=0, lt=1, default=0.999)
    seed: int = 0
    start_from: str | None = Field(default=None, description="checkpoint of another scale to start from")
    validate_every: int = Field(gt=0, default=1000)
    amp: Literal["none", "bf16"] = Field(default="none", description="autocast on CUDA; fp32 on the CPU")
    compile: bool = Field(default=False, description="torch.compile on CUDA")

    def config(self) -> NetworkConfig:
        """The network's config.

        Raises:
            ValueError: unknown family or fields that do not fit it.
        """
        family = FAMILIES.get(str(self.network.get("family")))
        if family is None:
            raise ValueError(f"unknown family in {self.network}; families: {', '.join(sorted(FAMILIES))}")
        return family.from_dict(self.network)

    def patch_at(self, step: int) -> int:
        """LR patch size of a step."""
        return [size for start, size in self.patches if step >= start * self.steps][-1]

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "halve":
            return self.learning_rate * (0.5 if step * 3 >= self.steps * 2 else 1.0)
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def read_recipe(path: Path, **overrides: object) -> Recipe:
    """Reads a recipe file; overrides that are None are ignored.

    Raises:
        ValueError: not TOML, or not a recipe; the message names the field.
    """
    values = tomllib.loads(path.read_text())
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Recipe.model_validate(values)
