"""An MDSR that begins as an EDSR of x2: its x2 gives the same pixels, its x3 and x4 those enlarged.

Both networks are the same but for MDSR's pre-processing blocks (Lim et al. 2017, section 3.2), which begin as nothing,
and its other branches: the sub-pixel convolution of x3 begins between the phases of x2's, x4's two steps begin as x2's
and a repetition of pixels.
"""

import torch
from torch import Tensor, nn

from models.edsr import Edsr, start_from
from models.layers import ResidualBlock
from models.mdsr import SCALES, Mdsr
from training.carry import bias_of, convs

# How much of each of x2's two phases, in order, is in each of x3's three along one axis.
BETWEEN = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])


@torch.no_grad()
def begin_mdsr_as_edsr(network: Mdsr, edsr: Edsr) -> None:
    """Sets all weights of a baseline or full MDSR.

    Raises:
        ValueError: the EDSR is not one of x2, or the two differ in blocks or features.
    """
    doubling, last = convs(edsr.tail)[0], convs(edsr.tail)[-1]
    if len(convs(edsr.tail)) != 2 or doubling.out_channels != 4 * doubling.in_channels:
        raise ValueError("an MDSR begins as an EDSR of x2")
    left = start_from(network, edsr)
    (to_pixels,) = convs(network.tail)
    if any(name.startswith(("head.", "body.")) for name in left) or to_pixels.weight.shape != last.weight.shape:
        raise ValueError("the EDSR has other blocks or features than the MDSR")
    _set(to_pixels, last.weight, bias_of(last))
    for block in network.pre_process.modules():
        if isinstance(block, ResidualBlock):
            second = convs(block)[-1]
            second.weight.zero_()
            bias_of(second).zero_()
    for scale, upsampler in zip(SCALES, network.upsample, strict=True):
        first, *more = convs(upsampler)
        if scale == 3:
            _set(first, _thirds(doubling.weight), _thirds(bias_of(doubling)))
        else:
            _set(first, doubling.weight, bias_of(doubling))
        for conv in more:
            _repeat(conv)


def _set(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(weight)
    bias_of(conv).copy_(bias)


def _thirds(of_doubling: Tensor) -> Tensor:
    """[4 * F, ...] in a pixel shuffle's order to [9 * F, ...]."""
    phases = of_doubling.unflatten(0, (-1, 2, 2))
    return torch.einsum("ai,bj,cij...->cab...", BETWEEN, BETWEEN, phases).flatten(0, 2)


def _repeat(conv: nn.Conv2d) -> None:
    """Every feature's four phases become its pixel."""
    conv.weight.zero_()
    bias_of(conv).zero_()
    for phase in range(conv.out_channels):
        conv.weight[phase, phase // 4, 1, 1] = 1
