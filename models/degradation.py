"""The degradation GAN's two generators: Bulat et al., "To learn image super-resolution, use a GAN to learn how to do
image degradation first", ECCV 2018, section 3 and figure 2.

High-to-Low makes realistic LR images from HR ones and noise; Low-to-High super-resolves what it made.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import conv, conv_macs, crop, pad_to_multiple
from models.reach import Span, radius

PAPER = "Bulat et al. 2018, To learn image super-resolution, use a GAN to learn how to do image degradation first"
SCALE = 4
FACE = 64  # HR pixels a side of the paper's face crops
NOISE_LENGTH = 64  # of the paper's noise vector
HALVINGS = 4  # in the High-to-Low encoder: 64 -> 4, then two pixel shuffles up to 16


@dataclass(frozen=True)
class H2lConfig(NetworkConfig):
    """High-to-Low: HR pixels and noise to LR pixels, a quarter of the size.

    `noise` "vector" is the paper's: 64 numbers through a fully connected layer to a fourth channel of 64x64, so HR
    images are 64x64. "map" takes that channel itself, one number per HR pixel, and with it images of any size
    (docs/decisions/0011).

    A "vector" network has no halo: its noise layer knows the whole image's size, so there is nothing to tile. A
    "map" network has one.
    Raises ValueError for unknown option values and for `features` that is not a multiple of 4.
    """

    family: ClassVar[str] = "h2l"
    paper: ClassVar[str] = PAPER
    value_range: ClassVar[float] = 1.0
    direction: ClassVar[Literal["up", "down"]] = "down"

    features: int = 64
    noise: Literal["vector", "map"] = "vector"

    def __post_init__(self) -> None:
        if self.noise not in ("vector", "map"):
            raise ValueError(f"noise is 'vector' or 'map', not {self.noise!r}")
        if self.features % 4:
            raise ValueError(f"features is {self.features}, not a multiple of 4")

    @property
    def scales(self) -> tuple[int, ...]:
        return (SCALE,)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        return (FACE // SCALE, FACE // SCALE) if self.noise == "vector" else None

    @property
    def size_multiple(self) -> int:
        return (1 << HALVINGS) // SCALE if self.tileable else 1

    @property
    def halo_exact(self) -> int:
        if not self.tileable:
            raise ValueError(f"an h2l with a noise vector takes images of {FACE}x{FACE} only: it is never tiled")
        return radius(self._before, period=self.size_multiple)

    def _before(self, span: Span) -> Span:
        span = span.conv()
        for _ in range(2):
            span = span.shuffle(2).conv().conv(layers=4)
        for _ in range(HALVINGS):
            span = span.conv(stride=2).conv(layers=4)
        return span.conv().shuffle(SCALE)  # the last only counts HR pixels in LR pixels

    def macs_per_lr_pixel(self, scale: int) -> int:
        """Includes the noise layer, which is the only one that is not a convolution."""
        self.check_scale(scale)
        square = conv_macs(self.features, self.features)
        head = conv_macs(4, self.features) * 16
        # In sixteenths of an LR pixel: 256 HR pixels, a quarter of them after each halving.
        areas = [256 >> (2 * halving) for halving in range(HALVINGS + 1)]
        encoder = sum(4 * square * area + square * area // 4 for area in areas[:-1])
        decoder = sum((4 + 4) * square * area for area in (areas[4], areas[3]))
        noise = NOISE_LENGTH * FACE * FACE // (FACE // SCALE) ** 2 if self.noise == "vector" else 0
        return head + (encoder + decoder) // 16 + conv_macs(self.features, 3) + noise

    def noise_shape(self, batch: int, height: int, width: int) -> tuple[int, ...]:
        """Shape of the standard normal noise that goes with `batch` HR images of this size."""
        return (batch, NOISE_LENGTH) if self.noise == "vector" else (batch, 1, height, width)

    def build(self) -> "H2l":
        return H2l(self)


class H2l(nn.Module):
    """High-to-Low. RGB in [0, 1] on both sides; inside, and for losses (`signed`), [-1, 1] as in the paper."""

    def __init__(self, config: H2lConfig) -> None:
        super().__init__()
        features = config.features
        self.noise = nn.Linear(NOISE_LENGTH, FACE * FACE) if config.noise == "vector" else None
        self.head = nn.Sequential(conv(4, features), nn.ReLU(inplace=True))
        self.encoder = nn.Sequential(*(_halving(features) for _ in range(HALVINGS)))
        self.decoder = nn.Sequential(*(_doubling(features) for _ in range(2)))
        self.tail = nn.Sequential(conv(features, 3), nn.Tanh())

    def forward(self, hr: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """HR [N, 3, H, W] and standard normal noise (`H2lConfig.noise_shape`) to LR [N, 3, H/4, W/4], in [0, 1].

        Sizes that are no multiple of 4 are rounded up. Equal noise gives equal answers.
        """
        return self.signed(hr * 2 - 1, noise) * 0.5 + 0.5

    def signed(self, hr: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """As `forward`, both images in [-1, 1]: what training compares.

        Raises:
            ValueError: a noise vector with images other than 64x64.
        """
        height, width = hr.shape[-2:]
        if self.noise is not None:
            if (height, width) != (FACE, FACE):
                raise ValueError(f"an h2l with a noise vector takes images of {FACE}x{FACE}, not {height}x{width}")
            noise = self.noise(noise).view(-1, 1, FACE, FACE)
        noisy = pad_to_multiple(torch.cat([hr, noise], dim=1), 1 << HALVINGS)
        lr: torch.Tensor = self.tail(self.decoder(self.encoder(self.head(noisy))))
        return crop(lr, (height + SCALE - 1) // SCALE, (width + SCALE - 1) // SCALE)


class PostNormBlock(nn.Module):
    """conv, BatchNorm, ReLU, conv, BatchNorm, plus the input: the block of High-to-Low."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(conv(features, features), nn.BatchNorm2d(features), nn.ReLU(inplace=True)),
            *(conv(features, features), nn.BatchNorm2d(features)),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        residual: torch.Tensor = self.body(inputs)
        return residual + inputs


def _halving(features: int) -> nn.Sequential:
    """Halves by a convolution of stride 2, as the released code does; the paper's text says pooling."""
    down = nn.Conv2d(features, features, 3, stride=2, padding=1)
    normed = (nn.BatchNorm2d(features), nn.ReLU(inplace=True))
    return nn.Sequential(PostNormBlock(features), PostNormBlock(features), *normed, down)


def _doubling(features: int) -> nn.Sequential:
    up = (conv(features, 4 * features), nn.PixelShuffle(2), nn.ReLU(inplace=True))
    return nn.Sequential(PostNormBlock(features), PostNormBlock(features), *up)


@dataclass(frozen=True)
class L2hConfig(NetworkConfig):
    """Low-to-High, x4; the defaults are the released network.

    `upsampling` "released" interpolates with align_corners=True: pixel spacing then depends on the image's size, so
    no halo makes a tile equal to the whole image, and the network is for faces of 16x16. "equivariant" interpolates
    between pixel centres: shifting the input shifts the output, it tiles, and is for photographs of any size; the
    parameters are the same but for `a2`, an unused layer that the released file carries (docs/decisions/0011).
    Raises ValueError for another `upsampling`.
    """

    family: ClassVar[str] = "l2h"
    paper: ClassVar[str] = PAPER
    value_range: ClassVar[float] = 1.0

    upsampling: Literal["released", "equivariant"] = "released"
    features: int = 256
    narrow_features: int = 128  # after the first doubling
    head_features: int = 96  # after the second
    blocks: int = 12
    narrow_blocks: int = 3

    def __post_init__(self) -> None:
        if self.upsampling not in ("released", "equivariant"):
            raise ValueError(f"upsampling is 'released' or 'equivariant', not {self.upsampling!r}")

    @property
    def scales(self) -> tuple[int, ...]:
        return (SCALE,)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Of the released network, the size that it was trained for and learned its pixel spacing at."""
        return (FACE // SCALE, FACE // SCALE) if self.upsampling == "released" else None

    @property
    def halo_exact(self) -> int:
        if not self.tileable:
            raise ValueError("the released l2h interpolates with align_corners: no halo makes its tiles match")
        return radius(self._before, scale=SCALE)

    def _before(self, span: Span) -> Span:
        narrow = span.conv().bilinear_x2().conv(layers=2 * self.narrow_blocks)
        return narrow.bilinear_x2().conv(layers=2 * self.blocks).conv()

    def macs_per_lr_pixel(self, scale: int) -> int:
        self.check_scale(scale)
        wide, narrow, head = self.features, self.narrow_features, self.head_features
        macs = conv_macs(3, wide) + self.blocks * 2 * conv_macs(wide, wide)
        joins = 2 if wide != narrow else 1  # the group's 1x1 convolution, and the first block's
        group = conv_macs(wide, narrow) + joins * wide * narrow
        group += (2 * self.narrow_blocks - 1) * conv_macs(narrow, narrow)
        last = narrow * narrow + conv_macs(narrow, head) + head * head + head * 3
        return macs + 4 * (wide * wide + group) + 16 * last

    def build(self) -> "L2h":
        return L2h(self)


class L2h(nn.Module):
    """Low-to-High, with the released file's parameter names. RGB in [0, 1]; `signed` is the paper's [-1, 1]."""

    def __init__(self, config: L2hConfig) -> None:
        super().__init__()
        wide, narrow, head = config.features, config.narrow_features, config.head_features
        corners = config.upsampling == "released"
        self.layers_in = nn.Conv2d(3, wide, 3, padding=1, bias=False)
        widths = [wide] + [narrow] * config.narrow_blocks
        self.layers_set_final = nn.ModuleList(
            [
                nn.Sequential(*(PreNormBlock(wide, wide) for _ in range(config.blocks))),
                nn.Sequential(*(PreNormBlock(*pair) for pair in pairwise(widths))),
            ]
        )
        self.layers_set_final_up = nn.ModuleList(_interpolation(width, corners=corners) for width in (wide, narrow))
        self.a1 = nn.Sequential(nn.Conv2d(wide, narrow, 1))
        if corners:
            self.a2 = nn.Sequential(nn.Conv2d(narrow, head, 1))  # never run
        self.main = nn.Sequential(
            *(nn.Conv2d(narrow, head, 3, padding=1, bias=False), nn.ReLU(inplace=True)),
            *(nn.Conv2d(head, head, 1), nn.ReLU(inplace=True), nn.Conv2d(head, 3, 1), nn.Tanh()),
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, H, W] to [N, 3, 4H, 4W], both in [0, 1]."""
        return self.signed(lr * 2 - 1) * 0.5 + 0.5

    def signed(self, lr: torch.Tensor) -> torch.Tensor:
        """As `forward`, both images in [-1, 1]: what training compares."""
        shallow = self.layers_in(lr)
        first = self.layers_set_final_up[0](self.layers_set_final[0](shallow) + shallow)
        second = self.layers_set_final_up[1](self.layers_set_final[1](first) + self.a1(first))
        sr: torch.Tensor = self.main(second)
        return sr


class PreNormBlock(nn.Module):
    """BatchNorm, ReLU, conv, BatchNorm, ReLU, conv, plus the input (1x1 convolved where the width changes)."""

    def __init__(self, in_features: int, features: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_features)
        self.conv1 = nn.Conv2d(in_features, features, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(in_features, features, 1) if in_features != features else nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.conv1(torch.relu(self.bn1(inputs)))
        residual: torch.Tensor = self.conv2(torch.relu(self.bn2(hidden)))
        skipped: torch.Tensor = self.skip(inputs)
        return residual + skipped


def _interpolation(features: int, *, corners: bool) -> nn.Sequential:
    """Bilinear x2, BatchNorm, ReLU, 1x1 convolution, which the release stores as a transposed one."""
    larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=corners)
    mix = nn.ConvTranspose2d(features, features, 1)
    return nn.Sequential(larger, nn.BatchNorm2d(features), nn.ReLU(inplace=True), mix)
