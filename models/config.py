"""What every family states about itself: a frozen record that builds the network and travels with the weights."""

import dataclasses
from typing import ClassVar, Literal, Protocol, Self

import torch
from torch import nn


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Base of all configs. Subclasses add hyper-parameters as dataclass fields.

    Their networks map float32 to float32, pixels in [0, `value_range`] on both sides, the answer unclamped:

    | input_kind | input          | output            |                                                              |
    |------------|----------------|-------------------|--------------------------------------------------------------|
    | "rgb"      | [N, 3, H, W]   | [N, 3, s*H, s*W]  | colour                                                       |
    | "y"        | [N, 1, H, W]   | [N, 1, s*H, s*W]  | luma of one image                                            |
    | "frames"   | [N, D, H, W]   | [N, 1, s*H, s*W]  | luma of D = `frame_window` frames in order; the middle one is |
    |            |                |                   | super-resolved                                               |

    Luma is the Y that the papers measure: ITU-R BT.601, black at 16/255 and white at 235/255. Colour conversion, the
    chroma planes and the repetition of a clip's first and last frame are not the network's: export wraps them around.

    With `direction` "down" (a degradation) the pixels of the table are the LR ones on the way out: the input has
    [N, 3, s*H, s*W] pixels. Lengths are in LR pixels everywhere.
    """

    family: ClassVar[str]
    paper: ClassVar[str]
    value_range: ClassVar[float] = 255.0
    direction: ClassVar[Literal["up", "down"]] = "up"

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that one set of weights serves; `at_scale` gives the network of one of them."""
        raise NotImplementedError

    @property
    def input_kind(self) -> Literal["rgb", "y", "frames"]:
        """What the input's channels are; see the class."""
        return "rgb"

    @property
    def frame_window(self) -> int:
        """Frames that one answer is made of; odd."""
        return 1

    @property
    def input_channels(self) -> int:
        """Size of the input's second dimension."""
        return 3 if self.input_kind == "rgb" else self.frame_window

    @property
    def output_channels(self) -> int:
        """Size of the output's second dimension."""
        return 3 if self.input_kind == "rgb" else 1

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) in LR pixels of the only images that it is for; None: any."""
        return None

    @property
    def tileable(self) -> bool:
        """Whether a part of an image, with `halo_exact` of context, gives the pixels that the whole image gives."""
        return self.fixed_size is None

    @property
    def halo_exact(self) -> int:
        """Receptive radius in LR pixels: context beyond it cannot change an SR pixel.

        Raises:
            ValueError: the network is not `tileable`; the message says why.
        """
        raise NotImplementedError

    @property
    def size_multiple(self) -> int:
        """Grid that the network's strides lay over the image: a tile's top and left must be multiples of it.

        The sizes need not be: the network pads them itself, at the bottom and on the right, and crops its answer.
        """
        return 1

    def macs_per_lr_pixel(self, scale: int) -> int:
        """Multiply-adds of all convolutions for one LR pixel (biases and activations not counted)."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The network with freshly initialised weights."""
        raise NotImplementedError

    def at_scale(self, network: nn.Module, scale: int) -> nn.Module:
        """The part of `network` that serves one scale: it takes pixels only, and shares its tensors and their names.

        Raises:
            ValueError: not one of `scales`.
        """
        self.check_scale(scale)
        return network

    def check_scale(self, scale: int) -> None:
        """Raises ValueError for a scale that these weights do not serve."""
        if scale not in self.scales:
            served = ", ".join(f"x{known}" for known in self.scales)
            raise ValueError(f"this {self.family} is for {served}, not x{scale}")

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
