"""Motion compensation, coarse then fine: Caballero et al., "Real-Time Video Super-Resolution with Spatio-Temporal
Networks and Motion Compensation", CVPR 2017, section 3.2 and table 1.

Flow is in LR pixels, [N, 2, H, W], columns before rows, and points to where a pixel is found:
`warped(p) = neighbour(p + flow(p))`.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from models.layers import conv_macs, crop, pad_to_multiple
from models.reach import Span

STRIDE = 4  # of the coarse network; frames are padded to multiples of it
FEATURES = 24
# Half of the 33-pixel crops of the paper's training: what its "from the centre to the border" was worth there.
DEFAULT_MAX_DISP = 16.5
# Flow of both networks, for one neighbour and LR pixel.
MACS_PER_LR_PIXEL = (
    (conv_macs(2, FEATURES, 5) + conv_macs(FEATURES, FEATURES)) // 4
    + (conv_macs(FEATURES, FEATURES, 5) + conv_macs(FEATURES, FEATURES) + conv_macs(FEATURES, 32)) // 16
    + (conv_macs(5, FEATURES, 5) + 3 * conv_macs(FEATURES, FEATURES) + conv_macs(FEATURES, 8)) // 4
)


class Compensation(NamedTuple):
    """A neighbour brought to the centre frame's place, and the flows that did it, in LR pixels [N, 2, H, W]."""

    warped: torch.Tensor
    flow: torch.Tensor
    coarse_flow: torch.Tensor


class MotionCompensation(nn.Module):
    """Finds the flow from a centre frame to its neighbour and warps the neighbour onto it.

    `max_disp` is the largest displacement, in LR pixels, that either network can say: their tanh outputs times
    `max_disp`. The total reaches twice as far. It belongs to the weights and is stored in their config: another value
    gives the same weights another meaning (docs/decisions/0013).

    An untrained network says no motion at all: the layers before tanh begin at zero.
    """

    def __init__(self, max_disp: float = DEFAULT_MAX_DISP) -> None:
        super().__init__()
        self.max_disp = max_disp
        self.coarse = _flow_network(2, kernels=(5, 3, 5, 3), strides=(2, 1, 2, 1), enlarge=4)
        self.fine = _flow_network(5, kernels=(5, 3, 3, 3), strides=(2, 1, 1, 1), enlarge=2)

    def forward(self, centre: torch.Tensor, neighbour: torch.Tensor) -> Compensation:
        """Luma [N, 1, H, W] twice to a `Compensation` of that size; any H and W."""
        height, width = centre.shape[-2:]
        centre, neighbour = pad_to_multiple(centre, STRIDE), pad_to_multiple(neighbour, STRIDE)
        coarse = self.coarse(torch.cat([centre, neighbour], dim=1))
        coarse_flow = self.max_disp * coarse.float()
        roughly = warp(neighbour, coarse_flow)
        # The coarse flow enters as tanh left it: in the range of the pixels beside it.
        fine = self.fine(torch.cat([centre, neighbour, roughly, coarse], dim=1))
        flow = coarse_flow + self.max_disp * fine.float()
        whole = (warp(neighbour, flow), flow, coarse_flow)
        return Compensation(*(crop(value, height, width) for value in whole))


def warp(frame: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Samples [N, C, H, W] bilinearly at `p + flow(p)`; what lies outside is the nearest pixel of the border.

    H and W must exceed 1. Positions are computed in float32 whatever the frame's type: half precision loses whole
    pixels from 2048 on. They are written as a range times a step, never as linspace, because that is what a graph of
    dynamic sizes can say.
    """
    height, width = frame.shape[-2:]
    columns = torch.arange(width, device=frame.device, dtype=torch.float32) + flow[:, 0].float()
    rows = torch.arange(height, device=frame.device, dtype=torch.float32).view(-1, 1) + flow[:, 1].float()
    # -1 and 1 are the centres of the outer pixels, which is what align_corners=True means.
    grid = torch.stack([columns * (2 / (width - 1)) - 1, rows * (2 / (height - 1)) - 1], dim=-1)
    warped = nn.functional.grid_sample(frame.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return warped.to(frame.dtype)


def before_compensation(span: Span, max_disp: float) -> Span:
    """What of the frames the warped neighbour's pixels depend on, through the flow networks or the warps."""
    fine = span.shuffle(2).conv(layers=4).conv(5, stride=2)
    coarse = fine.shuffle(4).conv(layers=2).conv(5, stride=2).conv().conv(5, stride=2)
    roughly = fine.displaced(math.ceil(max_disp))
    return coarse.joined(roughly).joined(span.displaced(math.ceil(2 * max_disp)))


def _flow_network(
    in_channels: int, *, kernels: tuple[int, ...], strides: tuple[int, ...], enlarge: int
) -> nn.Sequential:
    """Convolutions with ReLUs, one to 2 * enlarge**2 channels with tanh, and a pixel shuffle to x and y."""
    layers: list[nn.Module] = []
    width = in_channels
    for kernel, stride in zip(kernels, strides, strict=True):
        layer = nn.Conv2d(width, FEATURES, kernel, stride=stride, padding=kernel // 2)
        layers += [initialised(layer), nn.ReLU(inplace=True)]
        width = FEATURES
    last = nn.Conv2d(width, 2 * enlarge * enlarge, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(*layers, last, nn.Tanh(), nn.PixelShuffle(enlarge))


def initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """Orthogonal weights with gain sqrt(2) and no bias: how the paper begins (section 4.1)."""
    nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
