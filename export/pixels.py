"""Step 1, pixels: what stands between the bytes that the service moves and the numbers that a network works on.

`BytePixels` (uint8, what is served) and `FloatPixels` (float32, for 16-bit images and the self-ensemble) put
everything into the graph: order of axes, ranges, colour around a luma network, clamp and rounding.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from export.luma import LumaInColour
from models.config import NetworkConfig

WRAPPED = "network."  # how the wrappers prefix the network's tensor names

Pixels = Literal["uint8", "float32"]


class GraphPixels(nn.Module):
    """Base of both: the network on pixels in [0, `pixel_range`], channels first.

    Without `luma` the network is one of RGB in [0, `value_range`].
    """

    def __init__(
        self, network: nn.Module, *, pixel_range: float, value_range: float, luma: LumaInColour | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.luma = luma
        self.gain = value_range / pixel_range

    def answer(self, pixels: Tensor, noise: Tensor | None) -> Tensor:
        """float32 [N, 3, H, W] (of frame windows [N, D, 3, H, W]) to [N, 3, H', W'], unclamped."""
        if self.luma is not None:
            return self.luma.after(self.network(self.luma.before(pixels)), pixels)
        values = pixels if self.gain == 1.0 else pixels * self.gain
        answer: Tensor = self.network(values) if noise is None else self.network(values, _channels_first(noise))
        return answer if self.gain == 1.0 else answer / self.gain


class BytePixels(GraphPixels):
    """uint8 [N, H, W, 3] (or [N, D, H, W, 3]) to uint8 [N, H', W', 3]: clamped, then rounded half to even."""

    def forward(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        # Transposed while a pixel is one byte, here and at the end: a quarter of the memory traffic.
        answer = self.answer(_channels_first(pixels).to(torch.float32), noise)
        return answer.clamp(0.0, 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


class FloatPixels(GraphPixels):
    """float32 [N, H, W, 3] (or [N, D, H, W, 3]) in [0, 1] to float32 [N, H', W', 3], NOT clamped.

    A self-ensemble averages eight answers before it clamps and rounds (Lim et al. 2017, section 3.4);
    clamping each would pull the average inward. Whoever turns the answer into integers clamps it.
    """

    def forward(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.answer(_channels_first(pixels), noise).permute(0, 2, 3, 1)


def with_pixels(network: nn.Module, *, config: NetworkConfig, scale: int, pixels: Pixels) -> nn.Module:
    """The network of one scale behind the graph contract's pixels, in eval mode.

    `config` says what the network works on, whether it is the one that `config` builds or another that computes the
    same.
    """
    wrapper, pixel_range = (BytePixels, 255.0) if pixels == "uint8" else (FloatPixels, 1.0)
    colour = config.input_kind != "rgb"
    luma = LumaInColour(scale, pixel_range=pixel_range, luma_range=config.value_range) if colour else None
    return wrapper(network, pixel_range=pixel_range, value_range=config.value_range, luma=luma).eval()


def _channels_first(tensor: Tensor) -> Tensor:
    """[..., H, W, C] to [..., C, H, W]; a noise vector [N, 64] as it is."""
    return tensor if tensor.ndim == 2 else tensor.movedim(-1, -3)
