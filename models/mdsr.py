"""MDSR: one network for x2, x3 and x4. Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution", CVPRW 2017, section 3.2 and figure 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import MeanShift, ResidualBlock, Upsampler, conv, conv_macs, upsampler_macs, upsampling_steps
from models.reach import Span, radius

SCALES = (2, 3, 4)  # in the order of the official checkpoints' branch numbers 0, 1, 2


@dataclass(frozen=True)
class MdsrConfig(NetworkConfig):
    """Hyper-parameters; the defaults are the baseline (16 blocks). The paper's full network has 80.

    `compact` is not the paper's: it is the layout of a published small MDSR, with a ReLU after the head and after the
    body's last convolution, and sub-pixel convolutions straight to RGB instead of a last convolution.
    """

    family: ClassVar[str] = "mdsr"
    paper: ClassVar[str] = "Lim et al. 2017, Enhanced Deep Residual Networks for Single Image Super-Resolution"

    blocks: int = 16
    features: int = 64
    residual_scale: float = 1.0
    compact: bool = False

    @property
    def scales(self) -> tuple[int, ...]:
        return SCALES

    @property
    def halo_exact(self) -> int:
        return max(radius(partial(self._before, scale), scale=scale) for scale in SCALES)

    def _before(self, scale: int, span: Span) -> Span:
        if not self.compact:
            span = span.conv()  # to RGB
        for step in [scale] if self.compact else upsampling_steps(scale):
            span = span.shuffle(step).conv()
        body = span.conv(layers=2 * self.blocks + 1)
        return body.conv(5, layers=4).conv()  # pre-processing, head

    def macs_per_lr_pixel(self, scale: int) -> int:
        self.check_scale(scale)
        width = self.features
        shared = conv_macs(3, width) + (2 * self.blocks + 1) * conv_macs(width, width)
        pre_process = 4 * conv_macs(width, width, 5)
        last = conv_macs(width, 3 * scale * scale) if self.compact else upsampler_macs(scale, width)
        return shared + pre_process + last

    def build(self) -> "Mdsr":
        return Mdsr(self)

    def at_scale(self, network: nn.Module, scale: int) -> "MdsrAtScale":
        if not isinstance(network, Mdsr):
            raise TypeError(f"an mdsr config goes with an Mdsr, not with {type(network).__name__}")
        return network.at_scale(scale)


class Mdsr(nn.Module):
    """All branches, with the official repository's parameter names. Pixels are RGB in [0, 255].

    `forward` takes the scale besides the pixels; training draws one per batch. A network of pixels alone, which is
    what export traces once per scale, is `at_scale(scale)`.
    """

    def __init__(self, config: MdsrConfig) -> None:
        super().__init__()
        features, scaling = config.features, config.residual_scale
        blocks = [ResidualBlock(features, residual_scale=scaling) for _ in range(config.blocks)]
        self.sub_mean = MeanShift(config.value_range, -1)
        self.head = nn.Sequential(conv(3, features), *_end(config))
        self.pre_process = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(features, kernel=5, residual_scale=scaling) for _ in range(2)))
            for _ in SCALES
        )
        self.body = nn.Sequential(*blocks, conv(features, features), *_end(config))
        self.upsample = nn.ModuleList(_upsampler(scale, config) for scale in SCALES)
        self.tail = nn.Sequential() if config.compact else nn.Sequential(conv(features, 3))
        self.add_mean = MeanShift(config.value_range, +1)

    def forward(self, lr: torch.Tensor, scale: int) -> torch.Tensor:
        """Float [N, 3, H, W] in [0, 255] to [N, 3, s*H, s*W], unclamped. ValueError for other scales than 2, 3, 4."""
        sr: torch.Tensor = self.at_scale(scale)(lr)
        return sr

    def at_scale(self, scale: int) -> "MdsrAtScale":
        """The network of one scale: a view that shares its tensors with this one.

        Raises:
            ValueError: a scale other than 2, 3 or 4.
        """
        if scale not in SCALES:
            raise ValueError(f"MDSR has scales 2, 3 and 4, not {scale}")
        return MdsrAtScale(self, SCALES.index(scale))


class MdsrAtScale(nn.Module):
    """One branch of an `Mdsr` and what it shares with the others; the parameters keep the names they have there.

    The global skip joins what pre-processing, not what the head, has made (official code; figure 5).
    """

    def __init__(self, whole: Mdsr, branch: int) -> None:
        super().__init__()
        self.sub_mean = whole.sub_mean
        self.head = whole.head
        # A dict of one, keyed by the branch's number: "pre_process.1.0.body.0.weight" is its name in `whole` too.
        self.pre_process = nn.ModuleDict({str(branch): whole.pre_process[branch]})
        self.body = whole.body
        self.upsample = nn.ModuleDict({str(branch): whole.upsample[branch]})
        self.tail = whole.tail
        self.add_mean = whole.add_mean
        self.branch = str(branch)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, H, W] in [0, 255] to [N, 3, s*H, s*W], unclamped."""
        shallow = self.pre_process[self.branch](self.head(self.sub_mean(lr)))
        deep = self.body(shallow) + shallow
        sr: torch.Tensor = self.add_mean(self.tail(self.upsample[self.branch](deep)))
        return sr


def _end(config: MdsrConfig) -> Sequence[nn.Module]:
    return [nn.ReLU(inplace=True)] if config.compact else []


def _upsampler(scale: int, config: MdsrConfig) -> nn.Sequential:
    if config.compact:
        return nn.Sequential(conv(config.features, 3 * scale * scale), nn.PixelShuffle(scale))
    return Upsampler(scale, config.features)
