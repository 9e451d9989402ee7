"""ESPCN, the single-frame network that VESPCN builds on: Shi et al., "Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from models.config import NetworkConfig
from models.layers import conv, conv_macs
from models.reach import Span, radius


@dataclass(frozen=True)
class EspcnConfig(NetworkConfig):
    """Hyper-parameters; the defaults are the paper's. Raises ValueError for scales other than 2, 3, 4."""

    family: ClassVar[str] = "espcn"
    paper: ClassVar[str] = (
        "Shi et al. 2016, Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel "
        "Convolutional Neural Network"
    )
    value_range: ClassVar[float] = 1.0

    scale: int
    features: int = 64
    narrow_features: int = 32

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ValueError(f"ESPCN has scales 2, 3 and 4, not {self.scale}")

    @property
    def scales(self) -> tuple[int, ...]:
        return (self.scale,)

    @property
    def input_kind(self) -> Literal["y"]:
        return "y"

    @property
    def halo_exact(self) -> int:
        return radius(self._before, scale=self.scale)

    def _before(self, span: Span) -> Span:
        return span.shuffle(self.scale).conv(layers=2).conv(5)

    def macs_per_lr_pixel(self, scale: int) -> int:
        self.check_scale(scale)
        first = conv_macs(1, self.features, 5)
        return first + conv_macs(self.features, self.narrow_features) + conv_macs(self.narrow_features, scale * scale)

    def build(self) -> "Espcn":
        return Espcn(self)


class Espcn(nn.Sequential):
    """Luma [N, 1, H, W] in [0, 1] to [N, 1, s*H, s*W], unclamped. Two tanh layers, then sub-pixel convolution."""

    def __init__(self, config: EspcnConfig) -> None:
        super().__init__(
            *(conv(1, config.features, 5), nn.Tanh()),
            *(conv(config.features, config.narrow_features), nn.Tanh()),
            *(conv(config.narrow_features, config.scale**2), nn.PixelShuffle(config.scale)),
        )
