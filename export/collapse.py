"""Step 0, collapse: EDSR's (MDSR's) upsampler and last convolution are one linear map, and run as one convolution.

There is no activation between the body's end and the SR pixels (Lim et al. 2017, section 3.2, figure 3), so each LR
pixel's scale x scale block of SR pixels is a weighted sum of the features around that LR pixel. How far around: the
last convolution reaches 1 SR pixel beyond the block. Each pixel shuffle, walked backward, leaves a reach of 1 (it
merges at least 2 pixels into one), and the convolution before it makes that 2. So with any number of steps the block
reaches 2 pixels beyond its own on every level above the last, LR included: a 5x5 convolution.

That convolution would be wrong at the image's border, because every level is padded with zeros of its own, and the
merged map knows only those of the LR level. A level above LR has at least 2 pixels per LR pixel; therefore the blocks
of the outermost LR pixels reach into its padding, and those of the next ones just do not. The border is 1 LR pixel
wide at every scale, and is computed by the original layers on strips of 1 + 2 LR pixels.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.edsr import Edsr
from models.mdsr import MdsrAtScale

DERIVED = ("interior.weight", "interior.bias")  # the tensors of a collapsed network that are in no checkpoint
REACH = 2  # LR pixels beyond its own that an LR pixel's SR block depends on
BORDER = 1  # outer LR pixels whose SR block depends on the zero padding above LR resolution
STRIP = BORDER + REACH  # LR pixels of the original tail's input from which the border is exact
KERNEL = 2 * REACH + 1
CANVAS = 2 * (BORDER + REACH) + 1  # the smallest image where all that a pixel in the middle reaches is not border
PROBES = 16  # features probed at once; a full EDSR's 256 would take gigabytes


class Collapsed(nn.Module):
    """A network that computes the same pixels with about a tenth of its tail's multiply-adds.

    It shares all tensors with the original, under the same names, and adds those named in `DERIVED`. Float
    [N, 3, H, W] in [0, 255] to [N, 3, s*H, s*W], unclamped, for H and W from 1; equal to the original's but for float32
    rounding.
    """

    def collapse(self, tail: Sequence[nn.Module], features: int) -> None:
        """Once the original's parts are here; `tail` are its layers from so many features to pixels, in order."""
        self._layers = tuple(tail)  # a tuple, so that their tensors keep the names that they have in the original
        self.interior = _interior(nn.Sequential(*tail), features)
        self.shuffle = nn.PixelShuffle(math.isqrt(self.interior.out_channels // 3))

    def enlarge(self, deep: Tensor) -> Tensor:
        """What `straight(deep)` is: features [N, F, H, W] to SR pixels [N, 3, s*H, s*W].

        Images of fewer than 3 LR pixels need no case of their own: a slice ends where the image ends, so their strips
        are the image, and where one strip has already given all rows (columns), the slices of the others are empty.
        """
        edge = BORDER * self.shuffle.upscale_factor
        rows = torch.cat(
            [
                self.straight(deep[..., :STRIP])[..., :edge],
                self.shuffle(self.interior(deep))[..., edge:-edge],
                self.straight(deep[..., -STRIP:])[..., edge:][..., -edge:],
            ],
            dim=3,
        )
        return torch.cat(
            [
                self.straight(deep[:, :, :STRIP])[:, :, :edge],
                rows[:, :, edge:-edge],
                self.straight(deep[:, :, -STRIP:])[:, :, edge:][:, :, -edge:],
            ],
            dim=2,
        )

    def straight(self, deep: Tensor) -> Tensor:
        """The original's way from features [N, F, H, W] to SR pixels [N, 3, s*H, s*W]."""
        for layer in self._layers:
            deep = layer(deep)
        return deep


class CollapsedEdsr(Collapsed):
    """An `Edsr`, collapsed."""

    def __init__(self, edsr: Edsr) -> None:
        super().__init__()
        self.sub_mean, self.head, self.body = edsr.sub_mean, edsr.head, edsr.body
        self.tail, self.add_mean = edsr.tail, edsr.add_mean
        self.collapse([edsr.tail, edsr.add_mean], len(edsr.get_parameter("head.0.bias")))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(self.sub_mean(lr))
        return self.enlarge(self.body(shallow) + shallow)


class CollapsedMdsr(Collapsed):
    """One scale of an `Mdsr`, collapsed."""

    def __init__(self, mdsr: MdsrAtScale) -> None:
        super().__init__()
        self.sub_mean, self.head, self.pre_process, self.body = mdsr.sub_mean, mdsr.head, mdsr.pre_process, mdsr.body
        self.upsample, self.tail, self.add_mean = mdsr.upsample, mdsr.tail, mdsr.add_mean
        self.branch = mdsr.branch
        tail = [mdsr.upsample[mdsr.branch], mdsr.tail, mdsr.add_mean]
        self.collapse(tail, len(mdsr.get_parameter("head.0.bias")))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.pre_process[self.branch](self.head(self.sub_mean(lr)))
        return self.enlarge(self.body(shallow) + shallow)


def collapsed(network: nn.Module) -> nn.Module:
    """An `Edsr` or a scale of an `Mdsr` collapsed, any other network as it is.

    A compact MDSR, which has no last convolution, is one of the others.
    """
    if isinstance(network, Edsr):
        return CollapsedEdsr(network).eval()
    if isinstance(network, MdsrAtScale) and len(network.tail):
        return CollapsedMdsr(network).eval()
    return network


def _interior(tail: nn.Sequential, features: int) -> nn.Conv2d:
    """The convolution [N, F, H, W] to [N, 3 * s * s, H, W] whose pixel shuffle is the tail's answer off the border.

    Each weight is the tail's answer, in float64, to a single 1 in one feature of the middle pixel, less its answer to
    zeros. That answer to zeros, with the mean that is added, is the bias.
    """
    original = copy.deepcopy(tail).double()
    scale = math.prod(layer.upscale_factor for layer in tail.modules() if isinstance(layer, nn.PixelShuffle))
    merged = nn.Conv2d(features, 3 * scale * scale, KERNEL, padding=REACH).requires_grad_(False)
    with torch.no_grad():
        silence = _answers(original, torch.zeros(1, features, CANVAS, CANVAS), scale)
        for first in range(0, features, PROBES):
            probed = torch.arange(first, min(first + PROBES, features))
            impulses = torch.zeros(len(probed), features, CANVAS, CANVAS)
            impulses[torch.arange(len(probed)), probed, CANVAS // 2, CANVAS // 2] = 1
            # [probe, channel, row, column]. The answer below and to the right of the impulse is what a pixel weighs
            # its upper left neighbour with, hence the flip.
            answers = (_answers(original, impulses, scale) - silence).flip(2, 3)
            merged.weight[:, first : first + PROBES] = answers.transpose(0, 1).float()
        merged.bias.copy_(silence[0, :, REACH, REACH])  # type: ignore[union-attr] # there is a bias by default
    return merged


def _answers(tail: nn.Sequential, deep: Tensor, scale: int) -> Tensor:
    """The tail's SR pixels around the middle, one channel per pixel of a block: float64 [N, 3 * s * s, 5, 5]."""
    blocks = nn.functional.pixel_unshuffle(tail(deep.double()), scale)
    return blocks[..., BORDER:-BORDER, BORDER:-BORDER]
