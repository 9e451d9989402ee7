"""How a network begins: as interpolation of its (middle) frame, instead of as noise.

ESPCN, VESPCN and SRResNet have no skip connection around the whole, so from random weights they first have to learn to
hand the picture through, and that takes most of a short run. Here the first features carry the picture through all
layers, sub-pixel convolutions read bilinear interpolation off them, and all else begins with no weight in the answer.
The other filters of a luma network's first layer begin without a mean: what they are to find is edges, of a twentieth
of the range, and the grey that a random filter lets through would drown them.

Nothing else is different: the same layers learn, all of them.
"""

import math

import torch
from torch import Tensor, nn

from models.degradation import H2l, L2h
from models.espcn import Espcn
from models.srresnet import NormedBlock, Srresnet, UpBlock
from models.vespcn import EarlyFusion, Vespcn
from training.begin_degradation import begin_high_to_low, begin_low_to_high
from training.carry import bias_of, carry, silence

TANH_GAIN = 0.25  # luma in [0, 1] becomes [-1/8, 1/8], where tanh is straight within half a per cent
MIDDLE_GREY = 0.5
EDGE_NORM = 4.0  # of first filters: makes an edge of 0.05 a feature of 0.2


def begin_as_bilinear(network: nn.Module) -> None:
    """Sets the weights of an ESPCN, an early-fusion VESPCN, an SRResNet (SRGAN's generator) or one of the degradation
    GAN's generators, in place.

    SRResNet and Low-to-High begin as bilinear doubling, as often as they double; High-to-Low as the mean of 4x4.

    Raises:
        TypeError: another network.
    """
    with torch.no_grad():
        if isinstance(network, Espcn):
            _begin_luma(network, frame=0, gain=TANH_GAIN, grey=MIDDLE_GREY)
        elif isinstance(network, Vespcn) and isinstance(network.fusion, EarlyFusion):
            _begin_luma(network.fusion, frame=network.frames // 2, gain=1.0, grey=0.0)
        elif isinstance(network, Srresnet):
            _begin_srresnet(network)
        elif isinstance(network, L2h):
            begin_low_to_high(network)
        elif isinstance(network, H2l):
            begin_high_to_low(network)
        else:
            raise TypeError(f"a {type(network).__name__} cannot begin as bilinear interpolation")


def _begin_luma(layers: nn.Sequential, *, frame: int, gain: float, grey: float) -> None:
    """The first feature becomes gain * (input channel `frame` - grey), and the last convolution undoes that."""
    first, *middle, last = (layer for layer in layers if isinstance(layer, nn.Conv2d))
    first.weight -= first.weight.mean(dim=(2, 3), keepdim=True)
    first.weight *= EDGE_NORM / first.weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    bias_of(first).zero_()
    if any(isinstance(layer, nn.Tanh) for layer in layers):
        for conv in middle:
            nn.init.xavier_uniform_(conv.weight)
    carry(first, frame, 0, gain)
    bias_of(first)[0] = -gain * grey
    for conv in middle:
        carry(conv, 0, 0)
    last.weight.zero_()
    last.weight[:, 0] = bilinear_taps(math.isqrt(last.out_channels)) / gain
    bias_of(last).fill_(grey)


def _begin_srresnet(network: Srresnet) -> None:
    """Three features carry the colours in [0, 1], where PReLU is straight; the tail makes [-1, 1] of them."""
    (head,) = (layer for layer in network.head if isinstance(layer, nn.Conv2d))
    for colour in range(3):
        carry(head, colour, colour)
    for block in network.body:
        assert isinstance(block, NormedBlock)
        silence(block.bn2)
    (last_norm,) = (layer for layer in network.body_tail if isinstance(layer, nn.BatchNorm2d))
    silence(last_norm)
    for block in network.up:
        assert isinstance(block, UpBlock)
        for colour in range(3):
            block.conv.weight[4 * colour : 4 * colour + 4].zero_()
            block.conv.weight[4 * colour : 4 * colour + 4, colour] = bilinear_taps(2)
            bias_of(block.conv)[4 * colour : 4 * colour + 4] = 0
    network.tail.weight.zero_()
    for colour in range(3):
        carry(network.tail, colour, colour, 2.0)
    bias_of(network.tail).fill_(-1)


def bilinear_taps(scale: int) -> Tensor:
    """Kernels [s*s, 3, 3] of bilinear interpolation between pixel centres, in a pixel shuffle's order."""
    taps = torch.zeros(scale, 3)
    for sub_pixel in range(scale):
        position = (sub_pixel + 0.5) / scale - 0.5  # in LR pixels from the centre of its own
        left = math.floor(position)
        taps[sub_pixel, 1 + left] = 1 - (position - left)
        taps[sub_pixel, min(2, 2 + left)] += position - left
    return torch.einsum("ia,jb->ijab", taps, taps).reshape(scale * scale, 3, 3)
