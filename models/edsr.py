"""EDSR: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017, section 3."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import MeanShift, ResidualBlock, Upsampler, conv, upsampler_macs


@dataclass(frozen=True)
class EdsrConfig(NetworkConfig):
    """Hyper-parameters; the defaults are the paper's baseline (16 blocks of 64 features).

    The paper's full network is `EdsrConfig(scale, blocks=32, features=256, residual_scale=0.1)`.
    Raises ValueError for a scale other than 2, 3, 4, 8 (x8 is not in the paper; the official code allows it).
    """

    family: ClassVar[str] = "edsr"
    paper: ClassVar[str] = "Lim et al. 2017, Enhanced Deep Residual Networks for Single Image Super-Resolution"

    scale: int
    blocks: int = 16
    features: int = 64
    residual_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4, 8):
            raise ValueError(f"EDSR has scales 2, 3, 4 and 8, not {self.scale}")

    @property
    def scales(self) -> tuple[int, ...]:
        return (self.scale,)

    @property
    def halo_exact(self) -> int:
        # One LR pixel each: head, two convolutions a block, body end, first upsampling convolution. What runs above
        # LR resolution (1/2 + 1/4 + ... of a pixel) reaches into one more.
        return 1 + 2 * self.blocks + 1 + 2

    def macs_per_lr_pixel(self, scale: int) -> int:
        if scale != self.scale:
            raise ValueError(f"this EDSR is for x{self.scale}, not x{scale}")
        head = 9 * 3 * self.features
        body = (2 * self.blocks + 1) * 9 * self.features * self.features
        return head + body + upsampler_macs(scale, self.features)

    def build(self) -> "Edsr":
        return Edsr(self)


class Edsr(nn.Module):
    """The network, with the official repository's parameter names. Pixels are RGB in [0, 255]."""

    def __init__(self, config: EdsrConfig) -> None:
        super().__init__()
        features = config.features
        self.sub_mean = MeanShift(config.value_range, -1)
        self.head = nn.Sequential(conv(3, features))
        blocks = [ResidualBlock(features, residual_scale=config.residual_scale) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, conv(features, features))
        self.tail = nn.Sequential(Upsampler(config.scale, features), conv(features, 3))
        self.add_mean = MeanShift(config.value_range, +1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, H, W] in [0, 255] to [N, 3, s*H, s*W], unclamped."""
        shallow = self.head(self.sub_mean(lr))
        deep = self.body(shallow) + shallow
        sr: torch.Tensor = self.add_mean(self.tail(deep))
        return sr


def start_from(network: nn.Module, trained: nn.Module) -> list[str]:
    """Copies every tensor of `trained` whose name and shape fit into `network`; returns the names left as they were.

    The paper starts x3 and x4 from the converged x2 network (section 3.2); the upsampler is new where it does not fit.
    """
    own = network.state_dict()
    given = trained.state_dict()
    fitting = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
    network.load_state_dict({**own, **fitting})
    return sorted(set(own) - set(fitting))
