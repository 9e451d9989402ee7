"""VESPCN, super-resolution of video: Caballero et al., "Real-Time Video Super-Resolution with Spatio-Temporal Networks
and Motion Compensation", CVPR 2017, sections 3.1 (fusion) and 3.3.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import conv, conv_macs
from models.motion import (
    DEFAULT_MAX_DISP,
    MACS_PER_LR_PIXEL,
    STRIDE,
    MotionCompensation,
    before_compensation,
    initialised,
)
from models.reach import Span, radius

Fusion = Literal["early", "slow", "slow_shared"]


@dataclass(frozen=True)
class VespcnConfig(NetworkConfig):
    """Hyper-parameters; the defaults are the paper's 9L-E3-MC. Named as there:

    9L is `layers`, counted with the one that makes the sub-pixels; E3 is `fusion` "early" of 3 `frames`; S5 is
    "slow" (neighbours merge pairwise, one frame less per layer); S5-SW is "slow_shared" (all pairs of a layer share
    its weights); MC is `motion`. One frame without motion is the single-frame network of equal depth.
    `max_disp` is the flow's unit, see `models.motion`; it has no meaning without `motion`.

    Raises ValueError for scales other than 2, 3, 4, frames other than 1, 3, 5, 7, too few layers for the fusion, a
    `max_disp` that is not positive, and motion or slow fusion of a single frame.
    """

    family: ClassVar[str] = "vespcn"
    paper: ClassVar[str] = (
        "Caballero et al. 2017, Real-Time Video Super-Resolution with Spatio-Temporal Networks and Motion Compensation"
    )
    value_range: ClassVar[float] = 1.0

    scale: int
    frames: int = 3
    layers: int = 9
    features: int = 24
    fusion: Fusion = "early"
    motion: bool = True
    max_disp: float = DEFAULT_MAX_DISP

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ValueError(f"VESPCN has scales 2, 3 and 4, not {self.scale}")
        if self.frames not in (1, 3, 5, 7):
            raise ValueError(f"VESPCN takes 1, 3, 5 or 7 frames, not {self.frames}")
        if self.fusion not in ("early", "slow", "slow_shared"):
            raise ValueError(f"fusion is 'early', 'slow' or 'slow_shared', not {self.fusion!r}")
        if self.frames == 1 and (self.motion or self.fusion != "early"):
            raise ValueError("a single frame has no neighbours: it takes motion=False and fusion 'early'")
        if self.layers < max(2, self.merges + 1):
            raise ValueError(f"{self.layers} layers are too few to merge {self.frames} frames {self.fusion}")
        if not self.max_disp > 0:
            raise ValueError(f"max_disp is {self.max_disp}, not a positive number of LR pixels")

    @property
    def merges(self) -> int:
        """Layers that merge neighbours pairwise; none in early fusion, whose first layer takes all frames at once."""
        return 0 if self.fusion == "early" else self.frames - 1

    @property
    def scales(self) -> tuple[int, ...]:
        return (self.scale,)

    @property
    def input_kind(self) -> Literal["y", "frames"]:
        return "y" if self.frames == 1 else "frames"

    @property
    def frame_window(self) -> int:
        return self.frames

    @property
    def size_multiple(self) -> int:
        return STRIDE if self.motion else 1

    @property
    def halo_exact(self) -> int:
        """With motion it includes the largest displacement: the flow networks and the warp reach side by side.

        The warp's positions are float32, so tiles equal the whole frame up to its rounding (about 1e-5 pixels).
        """
        return radius(self._before, scale=self.scale, period=self.size_multiple)

    def _before(self, span: Span) -> Span:
        span = span.shuffle(self.scale).conv(layers=self.layers)
        return before_compensation(span, self.max_disp) if self.motion else span

    def macs_per_lr_pixel(self, scale: int) -> int:
        """For one window on its own: shared weights could reuse a stream's earlier merges, which is not counted."""
        self.check_scale(scale)
        width, plain = self.features, self.layers - self.merges - 1
        if self.merges:
            macs = self.merges * conv_macs(2, width)
            macs += sum(self.merges - layer for layer in range(1, self.merges)) * conv_macs(2 * width, width)
        else:
            macs, plain = conv_macs(self.frames, width), plain - 1
        macs += plain * conv_macs(width, width) + conv_macs(width, scale * scale)
        return macs + (self.frames - 1) * MACS_PER_LR_PIXEL if self.motion else macs

    def build(self) -> "Vespcn":
        return Vespcn(self)


class Window(NamedTuple):
    """A window whose neighbours were warped onto its middle frame, [N, D, H, W], and by what flow.

    `flow` is in LR pixels, [N, D - 1, 2, H, W] (columns before rows), for the neighbours in order.
    """

    frames: torch.Tensor
    flow: torch.Tensor


class Vespcn(nn.Module):
    """Luma of a window of frames in [0, 1]: [N, D, H, W] to [N, 1, s*H, s*W] of the middle one, unclamped.

    Training in the paper's stages (section 3.3) uses the parts: `motion` alone, then `fusion` of `compensated` frames,
    whose flow the joint loss smooths.
    """

    def __init__(self, config: VespcnConfig) -> None:
        super().__init__()
        self.frames = config.frames
        self.motion = MotionCompensation(config.max_disp) if config.motion else None
        self.fusion = EarlyFusion(config) if config.fusion == "early" else SlowFusion(config)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Float [N, D, H, W], D frames in order, to [N, 1, s*H, s*W]."""
        sr: torch.Tensor = self.fusion(frames if self.motion is None else self.compensated(frames).frames)
        return sr

    def compensated(self, frames: torch.Tensor) -> Window:
        """The window [N, D, H, W] with every neighbour warped onto the middle frame; needs `motion`.

        Raises:
            ValueError: the network has no motion compensation.
        """
        if self.motion is None:
            raise ValueError("this VESPCN has no motion compensation")
        middle = self.frames // 2
        before, centre, after = frames[:, :middle], frames[:, middle : middle + 1], frames[:, middle + 1 :]
        neighbours = torch.cat([before, after], dim=1)
        # All neighbours in one batch: they share the motion network's weights.
        pairs = (centre.expand_as(neighbours).flatten(0, 1), neighbours.flatten(0, 1))
        found = self.motion(*(frame.unsqueeze(1) for frame in pairs))
        warped, flow = (value.unflatten(0, (-1, self.frames - 1)) for value in (found.warped.squeeze(1), found.flow))
        return Window(torch.cat([warped[:, :middle], centre, warped[:, middle:]], dim=1), flow)


class EarlyFusion(nn.Sequential):
    """All frames are channels of the first convolution (section 3.1.1). [N, D, H, W] to [N, 1, s*H, s*W]."""

    def __init__(self, config: VespcnConfig) -> None:
        first = (initialised(conv(config.frames, config.features)), nn.ReLU(inplace=True))
        super().__init__(*first, *_plain_layers(config, config.layers - 2))


class SlowFusion(nn.Module):
    """Each of the first D - 1 layers merges neighbours pairwise, until one is left (section 3.1.2)."""

    def __init__(self, config: VespcnConfig) -> None:
        super().__init__()
        shared = config.fusion == "slow_shared"
        widths = [1] + [config.features] * (config.merges - 1)
        self.merges = nn.ModuleList(
            PairMerge(width, config.features, pairs=config.merges - layer, shared=shared)
            for layer, width in enumerate(widths)
        )
        self.rest = nn.Sequential(*_plain_layers(config, config.layers - config.merges - 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Float [N, D, H, W] to [N, 1, s*H, s*W]."""
        features = list(frames.split(1, dim=1))
        for merge in self.merges:
            features = merge(features)
        sr: torch.Tensor = self.rest(features[0])
        return sr


class PairMerge(nn.Module):
    """One layer of slow fusion: each pair of neighbours through a convolution, its own or one for all, and a ReLU."""

    def __init__(self, in_features: int, features: int, *, pairs: int, shared: bool) -> None:
        super().__init__()
        kinds = 1 if shared else pairs
        self.convs = nn.ModuleList(initialised(conv(2 * in_features, features)) for _ in range(kinds))

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """N tensors [N, C, H, W] in order to n - 1 tensors [N, F, H, W]."""
        pairs = [torch.cat(pair, dim=1) for pair in pairwise(features)]
        return [torch.relu(self.convs[index % len(self.convs)](pair)) for index, pair in enumerate(pairs)]


def _plain_layers(config: VespcnConfig, hidden: int) -> list[nn.Module]:
    """`hidden` layers with ReLU, then the linear one to sub-pixels and their shuffle."""
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [initialised(conv(config.features, config.features)), nn.ReLU(inplace=True)]
    return [*layers, initialised(conv(config.features, config.scale**2)), nn.PixelShuffle(config.scale)]
