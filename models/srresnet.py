"""SRResNet, which is also SRGAN's generator: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network", CVPR 2017, section 2.1 and figure 4.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import conv_macs, upsampling_steps
from models.reach import Span, radius

EDGE_KERNEL = 9  # of the first and the last convolution


@dataclass(frozen=True)
class SrresnetConfig(NetworkConfig):
    """Hyper-parameters; the defaults are the paper's 16 blocks of 64 features.

    What the paper leaves open are options, for weights trained elsewhere (docs/decisions/0010):
    `prelu` one slope per "layer" or per "channel"; `conv_bias` of the convolutions before BatchNorm; `norm_eps` of
    BatchNorm; `padding` "zeros" or "reflect" (which needs images larger than 4 pixels); `up_features` after each
    pixel shuffle (None: `features`); `tanh` on the last convolution.
    Raises ValueError for scales other than 2, 4, 8 (the paper's is 4) and unknown option values.
    """

    family: ClassVar[str] = "srresnet"
    paper: ClassVar[str] = (
        "Ledig et al. 2017, Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network"
    )
    value_range: ClassVar[float] = 1.0

    scale: int
    blocks: int = 16
    features: int = 64
    prelu: Literal["layer", "channel"] = "layer"
    conv_bias: bool = False
    norm_eps: float = 1e-5
    padding: Literal["zeros", "reflect"] = "zeros"
    up_features: int | None = None
    tanh: bool = False

    def __post_init__(self) -> None:
        if self.scale not in (2, 4, 8):
            raise ValueError(f"{self.family} has scales 2, 4 and 8, not {self.scale}")
        if self.prelu not in ("layer", "channel"):
            raise ValueError(f"prelu is 'layer' or 'channel', not {self.prelu!r}")
        if self.padding not in ("zeros", "reflect"):
            raise ValueError(f"padding is 'zeros' or 'reflect', not {self.padding!r}")

    @property
    def scales(self) -> tuple[int, ...]:
        return (self.scale,)

    @property
    def halo_exact(self) -> int:
        return radius(self._before, scale=self.scale)

    def _before(self, span: Span) -> Span:
        span = span.conv(EDGE_KERNEL)
        for step in upsampling_steps(self.scale):
            span = span.shuffle(step).conv()
        return span.conv(layers=2 * self.blocks + 1).conv(EDGE_KERNEL)

    def macs_per_lr_pixel(self, scale: int) -> int:
        self.check_scale(scale)
        width = self.features
        macs = conv_macs(3, width, EDGE_KERNEL) + (2 * self.blocks + 1) * conv_macs(width, width)
        pixels = 1
        for step in upsampling_steps(scale):
            macs += pixels * conv_macs(width, step * step * self.widened)
            pixels, width = pixels * step * step, self.widened
        return macs + pixels * conv_macs(width, 3, EDGE_KERNEL)

    @property
    def widened(self) -> int:
        """Features after a pixel shuffle."""
        return self.features if self.up_features is None else self.up_features

    def build(self) -> "Srresnet":
        return Srresnet(self)


@dataclass(frozen=True)
class SrganConfig(SrresnetConfig):
    """The same generator under the name of its adversarial training (section 2.1.1): other weights, another model."""

    family: ClassVar[str] = "srgan"


class Srresnet(nn.Module):
    """The generator. Pixels are RGB in [0, 1] on both sides.

    The paper's output lies in [-1, 1] (section 3.2), and so do its training targets: `signed` is that output, which
    losses compare with 2 * hr - 1; `forward` maps it to [0, 1]. Inputs are in [0, 1] either way.
    """

    def __init__(self, config: SrresnetConfig) -> None:
        super().__init__()
        features = config.features
        self.head = nn.Sequential(_edge_conv(3, features, config), _prelu(features, config))
        self.body = nn.Sequential(*(NormedBlock(config) for _ in range(config.blocks)))
        self.body_tail = nn.Sequential(_normed_conv(config), nn.BatchNorm2d(features, eps=config.norm_eps))
        widths = [features] + [config.widened] * len(upsampling_steps(config.scale))
        self.up = nn.Sequential(*(UpBlock(width, config) for width in widths[:-1]))
        self.tail = _edge_conv(widths[-1], 3, config)
        self.activation = nn.Tanh() if config.tanh else nn.Identity()

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, H, W] in [0, 1] to [N, 3, s*H, s*W] in [0, 1], unclamped unless the config has `tanh`."""
        return self.signed(lr) * 0.5 + 0.5

    def signed(self, lr: torch.Tensor) -> torch.Tensor:
        """As `forward`, with the output in [-1, 1]: what training compares."""
        shallow = self.head(lr)
        deep = self.body_tail(self.body(shallow)) + shallow
        sr: torch.Tensor = self.activation(self.tail(self.up(deep)))
        return sr


class NormedBlock(nn.Module):
    """conv, BatchNorm, PReLU, conv, BatchNorm, plus the input; no activation after the sum."""

    def __init__(self, config: SrresnetConfig) -> None:
        super().__init__()
        self.conv1 = _normed_conv(config)
        self.bn1 = nn.BatchNorm2d(config.features, eps=config.norm_eps)
        self.prelu = _prelu(config.features, config)
        self.conv2 = _normed_conv(config)
        self.bn2 = nn.BatchNorm2d(config.features, eps=config.norm_eps)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.prelu(self.bn1(self.conv1(inputs)))
        residual: torch.Tensor = self.bn2(self.conv2(hidden))
        return residual + inputs


class UpBlock(nn.Module):
    """conv to 4 times the features, pixel shuffle by 2, PReLU."""

    def __init__(self, in_features: int, config: SrresnetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_features, 4 * config.widened, 3, padding=1, padding_mode=config.padding)
        self.shuffle = nn.PixelShuffle(2)
        self.prelu = _prelu(config.widened, config)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self.prelu(self.shuffle(self.conv(inputs)))
        return larger


def _normed_conv(config: SrresnetConfig) -> nn.Conv2d:
    """A convolution whose bias BatchNorm makes idle, so that it has one only where a published file does."""
    features = config.features
    return nn.Conv2d(features, features, 3, padding=1, padding_mode=config.padding, bias=config.conv_bias)


def _edge_conv(in_channels: int, out_channels: int, config: SrresnetConfig) -> nn.Conv2d:
    padding = EDGE_KERNEL // 2
    return nn.Conv2d(in_channels, out_channels, EDGE_KERNEL, padding=padding, padding_mode=config.padding)


def _prelu(features: int, config: SrresnetConfig) -> nn.PReLU:
    return nn.PReLU(features if config.prelu == "channel" else 1)
