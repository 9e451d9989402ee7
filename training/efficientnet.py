"""EfficientNet-Lite0: Tan and Le, "EfficientNet", ICML 2019, without squeeze-and-excite and with ReLU6.

A classifier of 1,000 ImageNet classes whose features judge SRGAN's answers where VGG19's weights cannot be had. Names
and padding are those of the published file (TensorFlow's "same": an odd pixel of padding goes right and below).
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


class Stage(NamedTuple):
    """Blocks of one width: how many, the kernel, the first one's stride, how much a block widens inside, the width."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    features: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
FEATURE_BLOCKS = 11  # those up to 112 features at a sixteenth of the size, the resolution of VGG19's ReLU5_4


class EfficientNetLite0(nn.Module):
    """The classifier; `features` is what losses compare."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _same_conv(3, STEM, 3, stride=2)
        self._bn0 = _norm(STEM)
        self._blocks = nn.ModuleList(_blocks())
        self._conv_head = _same_conv(STAGES[-1].features, HEAD, 1)
        self._bn1 = _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def features(self, images: torch.Tensor, blocks: int = FEATURE_BLOCKS) -> torch.Tensor:
        """RGB in [0, 1], [N, 3, H, W], to what the first `blocks` blocks make of it: [N, 112, H/16, W/16]."""
        hidden: torch.Tensor = F.relu6(self._bn0(self._conv_stem(images * 2 - 1)))
        for block in self._blocks[:blocks]:
            hidden = block(hidden)
        return hidden

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """RGB in [0, 1], [N, 3, H, W], to logits [N, 1000]."""
        deep = self.features(images, len(self._blocks))
        pooled = F.relu6(self._bn1(self._conv_head(deep))).mean(dim=(2, 3))
        logits: torch.Tensor = self._fc(pooled)
        return logits


class InvertedBottleneck(nn.Module):
    """1x1 to more features, depthwise, 1x1 to few again with no activation; plus the input where shapes agree."""

    def __init__(self, in_features: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = in_features * stage.expansion
        self.expands = stage.expansion != 1
        self.joins = stride == 1 and in_features == stage.features
        if self.expands:
            self._expand_conv = _same_conv(in_features, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _same_conv(wide, wide, stage.kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _same_conv(wide, stage.features, 1)
        self._bn2 = _norm(stage.features)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = F.relu6(self._bn0(self._expand_conv(inputs))) if self.expands else inputs
        hidden = F.relu6(self._bn1(self._depthwise_conv(hidden)))
        projected: torch.Tensor = self._bn2(self._project_conv(hidden))
        return projected + inputs if self.joins else projected


class SameConv(nn.Conv2d):
    """Padded to ceil(size / stride) outputs, the odd pixel on the right and below."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - the base class's name
        pads: list[int] = []
        for size, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            short = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [short // 2, short - short // 2]
        return super().forward(F.pad(input, pads))


def _blocks() -> list[InvertedBottleneck]:
    blocks, width = [], STEM
    for stage in STAGES:
        for index in range(stage.blocks):
            blocks.append(InvertedBottleneck(width, stage, stage.stride if index == 0 else 1))
            width = stage.features
    return blocks


def _same_conv(in_features: int, features: int, kernel: int, *, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(in_features, features, kernel, stride=stride, groups=groups, bias=False)


def _norm(features: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(features, eps=1e-3, momentum=0.01)
