"""Layers that several families share: those of EDSR (Lim et al. 2017, section 3), counting, and padding to a grid."""

from collections.abc import Sequence

import torch
from torch import nn

DIV2K_MEAN = (
    0.4488,
    0.4371,
    0.4040,
)  # RGB mean of DIV2K's training half, in [0, 1]: a constant of the weights


def conv(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Conv2d:
    """Convolution that keeps the size: zero padding of kernel // 2, with bias."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


class MeanShift(nn.Module):
    """Adds `sign * value_range * DIV2K_MEAN` to each RGB channel.

    The official code writes it as a frozen 1x1 convolution with an identity matrix; its weight is kept here so that
    official checkpoints load by name, and it is added instead of convolved. Zero padding of the first convolution
    acts *after* the subtraction, so the shift must not be folded into that convolution.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, value_range: float, sign: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3).view(3, 3, 1, 1), requires_grad=False)
        self.bias = nn.Parameter(sign * value_range * torch.tensor(DIV2K_MEAN), requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels + self.bias.view(1, 3, 1, 1)


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, times `residual_scale`, plus the input; no BatchNorm (section 3.1, figure 2c)."""

    def __init__(self, features: int, *, kernel: int = 3, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(features, features, kernel), nn.ReLU(inplace=True), conv(features, features, kernel)
        )
        self.residual_scale = residual_scale

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        residual: torch.Tensor = self.body(inputs)
        if self.residual_scale != 1.0:
            residual = residual * self.residual_scale
        return residual + inputs


class Upsampler(nn.Sequential):
    """Sub-pixel convolution: x3 in one step, x2, x4 and x8 as one, two and three x2 steps; no activation."""

    def __init__(self, scale: int, features: int) -> None:
        layers: list[nn.Module] = []
        for step in upsampling_steps(scale):
            layers += [conv(features, step * step * features), nn.PixelShuffle(step)]
        super().__init__(*layers)


def upsampling_steps(scale: int) -> Sequence[int]:
    """The factors of the pixel shuffles that make up `scale`.

    Raises:
        ValueError: the scale is neither 3 nor a power of two above 1.
    """
    if scale == 3:
        return (3,)
    if scale >= 2 and scale & (scale - 1) == 0:
        return (2,) * (scale.bit_length() - 1)
    raise ValueError(f"scale {scale} is neither 3 nor a power of two")


def upsampler_macs(scale: int, features: int) -> int:
    """Multiply-adds per LR pixel of an `Upsampler` followed by the last convolution to RGB."""
    macs, pixels = 0, 1
    for step in upsampling_steps(scale):
        macs += pixels * 9 * features * features * step * step
        pixels *= step * step
    return macs + pixels * 9 * features * 3


def conv_macs(in_channels: int, out_channels: int, kernel: int = 3) -> int:
    """Multiply-adds of a convolution for one pixel of its output; also the number of its weights."""
    return kernel * kernel * in_channels * out_channels


def pad_to_multiple(images: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeats the last row and column of [N, C, H, W] until both sizes are multiples of `multiple`.

    Rows and columns are picked by clamped ranges, because that, unlike a padding by 0 to `multiple` - 1 pixels, is a
    graph for all sizes.
    """
    for dimension in (2, 3):
        size = images.shape[dimension]
        padded = (size + multiple - 1) // multiple * multiple
        places = torch.arange(padded, device=images.device).clamp(max=size - 1)
        images = images.index_select(dimension, places)
    return images


def crop(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The upper left `height` x `width` pixels of [N, C, H, W], which must be there.

    Picked by ranges rather than sliced: the size of a slice is a minimum of two sizes, which a graph of dynamic sizes
    then carries to its output.
    """
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    return images.index_select(2, rows).index_select(3, columns)
