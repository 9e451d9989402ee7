"""Discriminators of the two adversarial families: SRGAN's (Ledig et al. 2017, figure 4) and those of the
degradation GAN (Bulat et al. 2018, section 3). They only train: nothing here is exported or served.
"""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

# SRGAN's convolutions after the first, as (out_channels, stride): the width doubles after every halving.
SRGAN_LAYERS = ((64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))
SRGAN_HALVINGS = 4
SLOPE = 0.2  # of the leaky ReLUs


class SrganDiscriminator(nn.Module):
    """Tells SRGAN's output from photographs. RGB crops in [-1, 1], of one size, to logits (no sigmoid).

    `conv_bias` gives the convolutions before BatchNorm a bias, which it makes idle.
    Raises ValueError unless `crop` (HR pixels a side, 96 in the paper) is a positive multiple of 16.
    """

    def __init__(self, *, crop: int = 96, conv_bias: bool = False) -> None:
        super().__init__()
        side, rest = divmod(crop, 1 << SRGAN_HALVINGS)
        if crop <= 0 or rest:
            raise ValueError(f"crop is {crop}: the discriminator halves it {SRGAN_HALVINGS} times")
        self.features = nn.Sequential(*_srgan_features(conv_bias))
        self.classifier = nn.Sequential(
            nn.Linear(SRGAN_LAYERS[-1][0] * side * side, 1024), nn.LeakyReLU(SLOPE, inplace=True), nn.Linear(1024, 1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, crop, crop] in [-1, 1] to logits [N, 1], positive for photographs."""
        logits: torch.Tensor = self.classifier(self.features(images).flatten(1))
        return logits


def _srgan_features(conv_bias: bool) -> Iterator[nn.Module]:
    width = SRGAN_LAYERS[0][0]
    yield nn.Conv2d(3, width, 3, padding=1)
    yield nn.LeakyReLU(SLOPE, inplace=True)
    for wider, stride in SRGAN_LAYERS:
        yield nn.Conv2d(width, wider, 3, stride=stride, padding=1, bias=conv_bias)
        yield nn.BatchNorm2d(wider)
        yield nn.LeakyReLU(SLOPE, inplace=True)
        width = wider


class DegradationDiscriminator(nn.Module):
    """Residual discriminator with spectral norm everywhere and no BatchNorm; RGB in [-1, 1] to hinge scores.

    Five blocks, of which the first `halvings` halve the size (2 for 16x16 LR images, 4 for 64x64 HR images), as the
    authors released them. What is left is averaged, so that other crop sizes work too (docs/decisions/0012).
    Raises ValueError unless 1 <= halvings <= 5.
    """

    BLOCKS = 5

    def __init__(self, *, halvings: int, features: int = 128) -> None:
        super().__init__()
        if not 1 <= halvings <= self.BLOCKS:
            raise ValueError(f"halvings is {halvings}, not 1 to {self.BLOCKS}")
        rest = [NormBoundBlock(features, halve=index < halvings) for index in range(1, self.BLOCKS)]
        self.blocks = nn.Sequential(FirstNormBoundBlock(features), *rest, nn.ReLU())
        fc = nn.Linear(features, 1)
        nn.init.xavier_uniform_(fc.weight)
        self.fc = spectral_norm(fc)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float [N, 3, H, W] in [-1, 1] to scores [N, 1], positive for real ones; H, W at least 2 ** halvings."""
        scores: torch.Tensor = self.fc(self.blocks(images).mean(dim=(2, 3)))
        return scores


class FirstNormBoundBlock(nn.Module):
    """conv, ReLU, conv, halved; plus the halved image through a 1x1 convolution. No ReLU before: it sees pixels."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = _bound_conv(3, features)
        self.conv2 = _bound_conv(features, features)
        self.bypass = _bound_conv(3, features, kernel=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        residual = _halved(self.conv2(torch.relu(self.conv1(images))))
        bypass: torch.Tensor = self.bypass(_halved(images))
        return residual + bypass


class NormBoundBlock(nn.Module):
    """ReLU, conv, ReLU, conv; plus the input. With `halve` both are averaged 2x2, the input after a 1x1 convolution."""

    def __init__(self, features: int, *, halve: bool) -> None:
        super().__init__()
        self.conv1 = _bound_conv(features, features)
        self.conv2 = _bound_conv(features, features)
        self.bypass = _bound_conv(features, features, kernel=1) if halve else None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        residual: torch.Tensor = self.conv2(torch.relu(self.conv1(torch.relu(inputs))))
        if self.bypass is None:
            return residual + inputs
        return _halved(residual) + _halved(self.bypass(inputs))


def _bound_conv(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Module:
    """A convolution of spectral norm 1; Xavier weights, with gain sqrt(2) for the 1x1 bypasses (released code)."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(conv.weight, gain=math.sqrt(2) if kernel == 1 else 1.0)
    return spectral_norm(conv)


def _halved(images: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(images, 2)
