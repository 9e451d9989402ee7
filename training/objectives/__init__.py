"""How each family learns. OBJECTIVES is the registry: a family is trainable because it has a line here."""

from typing import Protocol

from torch import nn

from training.objectives.base import Objective, Surroundings
from training.objectives.degradation import DegradationObjective
from training.objectives.pixel import LumaObjective, PixelObjective, SignedObjective
from training.objectives.srgan import SrganObjective
from training.recipe import Recipe


class Prepare(Protocol):
    """Reads what a recipe needs and makes its objective."""

    def __call__(self, recipe: Recipe, network: nn.Module, place: Surroundings) -> Objective: ...


def prepare_video(recipe: Recipe, network: nn.Module, place: Surroundings) -> Objective:
    """Imported when wanted: it needs the extra "video", which photographs do not."""
    from training.objectives.video import VideoObjective

    return VideoObjective.prepare(recipe, network, place)


OBJECTIVES: dict[str, Prepare] = {
    "edsr": PixelObjective.prepare,
    "mdsr": PixelObjective.prepare,
    "srresnet": SignedObjective.prepare,
    "srgan": SrganObjective.prepare,
    "l2h": DegradationObjective.prepare,
    "espcn": LumaObjective.prepare,
    "vespcn": prepare_video,
}


def prepare(recipe: Recipe, network: nn.Module, place: Surroundings) -> Objective:
    """The objective of a recipe's family, with its data read.

    Raises:
        ValueError: the family is trained as part of another (h2l with l2h).
        FileNotFoundError: data or weights are not at hand.
    """
    family = recipe.config().family
    if family not in OBJECTIVES:
        raise ValueError(f"{family} has no recipe of its own; recipes are for {', '.join(OBJECTIVES)}")
    return OBJECTIVES[family](recipe, network, place)


__all__ = ["OBJECTIVES", "Objective", "Surroundings", "prepare"]
