"""Step 0, polyphase: SRResNet's last layers run where the picture is half as wide, and PReLU runs as convolutions.

The 9x9 convolution to three colours (Ledig et al. 2017, figure 4) reads the pixels that the last pixel shuffle makes.
The four of a block of 2 x 2 lie in four channels of one pixel before the shuffle, so the convolution's answer for a
block is a weighted sum of 5 x 5 such pixels: 4 SR pixels beyond the block are 2 pixels there. Zeros around the large
picture are zeros around the small one. A PReLU changes each value by itself, so it may come before the shuffle as well.

PReLU with slope a is a * x + relu((1 - a) * x) wherever a is at most 1: two convolutions of a channel with itself,
for which ONNX Runtime's CPU kernels need not leave their blocked layout, as they have to for its PRelu.
"""

import copy
import itertools

import torch
from torch import Tensor, nn

from models.srresnet import NormedBlock, Srresnet, UpBlock

DOUBLING = 2
PHASES = DOUBLING * DOUBLING  # pixels of a block, in a pixel shuffle's order
REACH = 2  # pixels before the last shuffle beyond its own that a block depends on
KERNEL = 2 * REACH + 1


class PolyphaseSrresnet(nn.Module):
    """An `Srresnet` that computes the same pixels in about two thirds of the time on a CPU.

    It shares all tensors with the original, under the same names, and adds `polyphase.*` and, of every PReLU that is
    replaced, `slope` and `rest`. Float [N, 3, H, W] in [0, 1] to [N, 3, s*H, s*W], for H and W from 1; equal to the
    original's but for float32 rounding.

    Raises:
        ValueError: the original pads by reflection, which before the last shuffle is not what it is after it.
    """

    def __init__(self, network: Srresnet) -> None:
        super().__init__()
        if network.tail.padding_mode != "zeros":
            raise ValueError(f"padding by {network.tail.padding_mode!r} cannot be moved before a pixel shuffle")
        own = _sharing(network)
        self.head, self.body, self.body_tail = own.head, own.body, own.body_tail
        self.up, self.tail, self.activation = own.up, own.tail, own.activation
        for block in own.modules():
            if isinstance(block, NormedBlock):
                block.add_module("prelu", _as_convolutions(block.prelu, block.conv1.out_channels))
            elif isinstance(block, UpBlock):  # before its shuffle, where a feature has four channels
                block.add_module("prelu", _as_convolutions(block.prelu, block.conv.out_channels))
        conv, prelu = own.head
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(prelu, nn.PReLU)
        self.head.add_module("1", _as_convolutions(prelu, conv.out_channels))
        self.polyphase = _polyphase(own.tail)
        self.shuffle = nn.PixelShuffle(DOUBLING)
        if isinstance(own.activation, nn.Identity):  # nothing between the last sum and its way to [0, 1]
            self.polyphase.weight *= 0.5
            self.polyphase.bias.mul_(0.5).add_(0.5)  # type: ignore[union-attr] # there is a bias by default

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        deep = self.body_tail(self.body(shallow)) + shallow
        for number, up in enumerate(self.up, 1):
            assert isinstance(up, UpBlock)
            wide = up.prelu(up.conv(deep))
            deep = self.shuffle(wide if number < len(self.up) else self.polyphase(wide))
        sr: Tensor = deep if isinstance(self.activation, nn.Identity) else self.activation(deep) * 0.5 + 0.5
        return sr


class DepthwisePrelu(nn.Module):
    """A PReLU as two convolutions, each of a channel with itself.

    Of more channels than the PReLU has slopes, each slope is that of as many neighbours: of a feature's four phases
    before a pixel shuffle.
    """

    slope: Tensor
    rest: Tensor

    def __init__(self, prelu: nn.PReLU, channels: int) -> None:
        super().__init__()
        self.weight = prelu.weight
        slopes = prelu.weight.detach().repeat_interleave(channels // len(prelu.weight)).view(-1, 1, 1, 1)
        self.register_buffer("slope", slopes)
        self.register_buffer("rest", 1 - slopes)

    def forward(self, inputs: Tensor) -> Tensor:
        channels = len(self.slope)
        line = nn.functional.conv2d(inputs, self.slope, groups=channels)
        return line + torch.relu(nn.functional.conv2d(inputs, self.rest, groups=channels))


class SpreadPrelu(nn.PReLU):
    """A PReLU with a slope above 1, for which the other way does not hold, on as many channels as the other."""

    def __init__(self, prelu: nn.PReLU, channels: int) -> None:
        super().__init__()
        self.weight = prelu.weight
        self.times = channels // len(prelu.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.prelu(inputs, self.weight.repeat_interleave(self.times))


def _as_convolutions(prelu: nn.PReLU, channels: int) -> nn.Module:
    at_most_one = bool((prelu.weight <= 1).all())
    return DepthwisePrelu(prelu, channels) if at_most_one else SpreadPrelu(prelu, channels)


def _sharing(network: Srresnet) -> Srresnet:
    """A copy of the modules with the very tensors of the original."""
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, memo={id(tensor): tensor for tensor in tensors}).eval()


@torch.no_grad()
def _polyphase(tail: nn.Conv2d) -> nn.Conv2d:
    """The last convolution before the last pixel shuffle: [N, 4 * F, H, W] to [N, 4 * 3, H, W], no value changed.

    Along one axis, the tap of the large picture that leads from phase `out` of a pixel to phase `into` of the pixel
    `step` further is step * 2 + into - out.
    """
    colours, features = tail.out_channels, tail.in_channels
    half = tail.kernel_size[0] // 2
    merged = nn.Conv2d(PHASES * features, PHASES * colours, KERNEL, padding=REACH).requires_grad_(requires_grad=False)
    phases = torch.zeros(colours, DOUBLING, DOUBLING, features, DOUBLING, DOUBLING, KERNEL, KERNEL)
    for out, into, step in itertools.product(range(DOUBLING), range(DOUBLING), range(-REACH, REACH + 1)):
        row = step * DOUBLING + into - out
        for out_x, into_x, step_x in itertools.product(range(DOUBLING), range(DOUBLING), range(-REACH, REACH + 1)):
            column = step_x * DOUBLING + into_x - out_x
            if max(abs(row), abs(column)) <= half:
                taps = tail.weight[:, :, half + row, half + column]
                phases[:, out, out_x, :, into, into_x, REACH + step, REACH + step_x] = taps
    merged.weight.copy_(phases.reshape(merged.weight.shape))
    bias = torch.zeros(colours) if tail.bias is None else tail.bias
    merged.bias.copy_(bias.repeat_interleave(PHASES))  # type: ignore[union-attr] # there is a bias by default
    return merged
