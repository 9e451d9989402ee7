"""The colour around a luma network: its input out of RGB, its answer back into RGB, chroma enlarged by bicubic.

The papers of ESPCN and VESPCN super-resolve Y alone (Shi et al. 2016, section 3.1; docs/decisions/0014). Y is ITU-R
BT.601 in studio range: black 16/255, white 235/255. What it leaves of a colour are the differences R - Y', G - Y' and
B - Y' to the same luma in full range; they are enlarged and added to the network's luma, which is the same as to
enlarge Cb and Cr, for all of it is linear.

Bicubic is Keys' kernel with a = -0.5 and repeated borders, which is MATLAB's `imresize` of a larger size, without its
rounding. Each of the scale x scale SR pixels of an LR pixel weighs 4 x 4 of the 5 x 5 LR pixels around it, always the
same ones: a convolution and a pixel shuffle.
"""

import torch
from torch import Tensor, nn

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # of full-range luma, ITU-R BT.601
BLACK, WHITE = 16 / 255, 235 / 255  # studio range
REACH = 2  # LR pixels beyond its own that an SR pixel's chroma depends on


class LumaInColour(nn.Module):
    """RGB pixels in [0, `pixel_range`] around a network of luma in [0, `luma_range`]."""

    weights: Tensor
    kernel: Tensor

    def __init__(self, scale: int, *, pixel_range: float, luma_range: float) -> None:
        super().__init__()
        full = torch.tensor([RED, GREEN, BLUE])
        self.offset = BLACK * luma_range
        self.register_buffer("weights", (full * (WHITE - BLACK) * luma_range / pixel_range).view(1, 3, 1, 1))
        self.gain = pixel_range / ((WHITE - BLACK) * luma_range)
        self.register_buffer("kernel", _differences_enlarged(scale))
        self.shuffle = nn.PixelShuffle(scale)

    def before(self, pixels: Tensor) -> Tensor:
        """What the network sees: of a picture [N, 3, H, W] its luma [N, 1, H, W], of a window [N, D, 3, H, W] those of
        its frames, [N, D, H, W].
        """
        luma = nn.functional.conv2d(pixels.flatten(0, -4), self.weights) + self.offset
        return luma.view(-1, pixels.shape[1], *luma.shape[2:]) if pixels.ndim == 5 else luma

    def after(self, luma: Tensor, pixels: Tensor) -> Tensor:
        """RGB [N, 3, s*H, s*W], unclamped: the network's luma [N, 1, s*H, s*W] with the colour of the pixels.

        Of a window, the colour is the middle frame's.
        """
        middle = pixels[:, pixels.shape[1] // 2] if pixels.ndim == 5 else pixels
        around = nn.functional.pad(middle, (REACH,) * 4, mode="replicate")
        differences: Tensor = self.shuffle(nn.functional.conv2d(around, self.kernel))
        return differences + (luma - self.offset) * self.gain


def _differences_enlarged(scale: int) -> Tensor:
    """RGB to its enlarged differences to luma: weights [3 * s * s, 3, 5, 5] in front of a pixel shuffle."""
    phases = _phases(scale)
    luma = torch.tensor([RED, GREEN, BLUE], dtype=torch.float64)
    differences = torch.eye(3, dtype=torch.float64) - luma  # row: of R, G, B; column: weight of R, G, B
    weights = torch.einsum("oc,ik,jl->oijckl", differences, phases, phases)
    return weights.reshape(3 * scale * scale, 3, 2 * REACH + 1, 2 * REACH + 1).float()


def _phases(scale: int) -> Tensor:
    """Bicubic weights along one axis: float64 [scale, 5], for each SR pixel those of the LR pixels around its own."""
    centre = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5  # of an SR pixel, counted in LR pixels
    distance = (centre[:, None] - torch.arange(-REACH, REACH + 1)).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance <= 2, far, torch.zeros_like(distance)))
