"""What every family states about itself: a frozen record that builds the network and travels with the weights."""

import dataclasses
from typing import ClassVar, Literal, Protocol, Self

import torch
from torch import nn


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Base of all configs. Subclasses add hyper-parameters as dataclass fields.

    Their networks map float32 [N, 3, H, W] in [0, `value_range`] to float32 [N, 3, s*H, s*W] in the same
    range, unclamped.
    """

    family: ClassVar[str]
    paper: ClassVar[str]
    input_kind: ClassVar[Literal["rgb", "y", "frames"]] = "rgb"
    value_range: ClassVar[float] = 255.0
    frame_window: ClassVar[int] = 1
    size_multiple: ClassVar[int] = 1

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that one set of weights serves."""
        raise NotImplementedError

    @property
    def halo_exact(self) -> int:
        """Receptive radius in LR pixels: context beyond it cannot change an SR pixel."""
        raise NotImplementedError

    def macs_per_lr_pixel(self, scale: int) -> int:
        """Multiply-adds of all convolutions for one LR pixel (biases and activations not counted)."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The network with freshly initialised weights."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, object]:
        """JSON-ready record: the family's name and every field."""
        return {"family": self.family, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, record: dict[str, object]) -> Self:
        """Inverse of `to_dict` for this family.

        Raises:
            ValueError: the record is of another family, or has unknown or missing fields.
        """
        fields = dict(record)
        family = fields.pop("family", None)
        if family != cls.family:
            raise ValueError(f"config is of family {family!r}, not {cls.family!r}")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"unknown fields in a {cls.family} config: {', '.join(unknown)}")
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"incomplete {cls.family} config: {error}") from error


class Network(Protocol):
    """The call that every network answers; see `NetworkConfig` for shapes and ranges."""

    def __call__(self, lr: torch.Tensor) -> torch.Tensor: ...


def count_parameters(network: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
