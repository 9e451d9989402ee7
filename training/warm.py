"""Networks that begin as another kind of network, where the one can say exactly what the other says.

A VESPCN begins as its single-frame network: the first layer's weights for the middle frame are given, those for its
neighbours are nothing. What it learns from then on is what neighbours are worth.

An SRResNet begins as an EDSR of the same widths. Both are a head, blocks of two convolutions with a skip, a skip
around them all, sub-pixel convolutions and a last one. SRResNet has besides (Ledig et al. 2017, section 2.1)
BatchNorms, which are made to undo themselves by the statistics of some photographs; PReLUs, whose slope is 1 where
EDSR has nothing and 0 where it has a ReLU; and 9x9 kernels, whose middles the 3x3 ones take. Features are in units of
the range, a 255th of EDSR's, so that all weights are of the size that a step of Adam is meant for. Only the image's
border differs, where EDSR pads with its mean and SRResNet with black.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from models.edsr import Edsr, EdsrConfig
from models.layers import ResidualBlock
from models.srresnet import NormedBlock, Srresnet, UpBlock
from models.vespcn import EarlyFusion, Vespcn
from training.carry import bias_of, convs

RANGE = EdsrConfig.value_range


@torch.no_grad()
def begin_as_edsr(network: Srresnet, edsr: Edsr, photographs: Tensor) -> None:
    """Sets all weights of `network`; `photographs` are LR pixels [N, 3, H, W] in [0, 1].

    Raises:
        ValueError: the two differ in blocks, features or scale.
    """
    blocks = [block for block in edsr.body if isinstance(block, ResidualBlock)]
    *_, body_end = convs(edsr.body)
    *ups, _ = convs(edsr.tail)
    if (len(blocks), len(ups)) != (len(network.body), len(network.up)):
        raise ValueError(f"an EDSR of {len(blocks)} blocks and {len(ups)} doublings is no start for this SRResNet")
    biases: dict[nn.BatchNorm2d, Tensor] = {}
    _head(network, edsr)
    for block, given in zip(network.body, blocks, strict=True):
        assert isinstance(block, NormedBlock)
        first, second = convs(given)
        _same(block.conv1, first.weight)
        _same(block.conv2, second.weight * given.residual_scale)
        biases[block.bn1], biases[block.bn2] = bias_of(first) / RANGE, bias_of(second) * given.residual_scale / RANGE
        block.prelu.weight.fill_(0)
    (end,) = convs(network.body_tail)
    _same(end, body_end.weight)
    (norm,) = (layer for layer in network.body_tail if isinstance(layer, nn.BatchNorm2d))
    biases[norm] = bias_of(body_end) / RANGE
    for up, given_up in zip(network.up, ups, strict=True):
        assert isinstance(up, UpBlock)
        _same(up.conv, given_up.weight)
        bias_of(up.conv).copy_(bias_of(given_up) / RANGE)
        up.prelu.weight.fill_(1)
    _tail(network, edsr)
    with _undone(biases):
        network.eval()(photographs)
    network.train()


@torch.no_grad()
def begin_as_single_frame(network: Vespcn, single: nn.Module) -> None:
    """Sets the weights of `network`'s fusion; its motion compensation stays as it is.

    Raises:
        ValueError: `single` is no single-frame network of the same scale, layers and features.
    """
    if not isinstance(single, Vespcn) or single.frames != 1 or not isinstance(network.fusion, EarlyFusion):
        raise ValueError("early fusion begins as a VESPCN of a single frame, and as nothing else")
    given, own = convs(single.fusion), convs(network.fusion)
    if [conv.weight.shape[0] for conv in given] != [conv.weight.shape[0] for conv in own]:
        raise ValueError("the single-frame network has other layers")
    for conv, source in zip(own, given, strict=True):
        conv.weight.zero_()
        middle = conv.in_channels // 2 if conv is own[0] else 0
        conv.weight[:, middle : middle + source.in_channels] = source.weight
        bias_of(conv).copy_(bias_of(source))


def keep_statistics(network: nn.Module) -> None:
    """From now on every BatchNorm normalises by the statistics it has, in training too; scale and shift still learn.

    What began as an EDSR wants that: its features are mostly a grey level, which differs from batch to batch.
    """
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.register_forward_pre_hook(_as_in_use)


def _as_in_use(norm: nn.Module, _: object) -> None:
    norm.train(mode=False)


def _head(network: Srresnet, edsr: Edsr) -> None:
    """From [0, 1] instead of [0, 255] less the mean."""
    (given,), (conv,) = convs(edsr.head), convs(network.head)
    _middle(conv, given.weight)
    bias_of(conv).copy_((bias_of(given) + (given.weight.sum(dim=(2, 3)) * edsr.sub_mean.bias).sum(dim=1)) / RANGE)
    for layer in network.head:
        if isinstance(layer, nn.PReLU):
            layer.weight.fill_(1)


def _tail(network: Srresnet, edsr: Edsr) -> None:
    """To [-1, 1] instead of [0, 255]."""
    *_, given = convs(edsr.tail)
    _middle(network.tail, given.weight * 2)
    bias_of(network.tail).copy_((bias_of(given) + edsr.add_mean.bias) * (2 / RANGE) - 1)


def _same(conv: nn.Conv2d, weight: Tensor) -> None:
    if conv.weight.shape != weight.shape:
        raise ValueError(f"a convolution of {tuple(weight.shape)} is no start for one of {tuple(conv.weight.shape)}")
    conv.weight.copy_(weight)
    if conv.bias is not None:
        conv.bias.zero_()


def _middle(conv: nn.Conv2d, weight: Tensor) -> None:
    margin = (conv.kernel_size[0] - weight.shape[-1]) // 2
    _same(conv, nn.functional.pad(weight, [margin] * 4))


@contextmanager
def _undone(biases: dict[nn.BatchNorm2d, Tensor]) -> Iterator[None]:
    """While it is open, every BatchNorm takes what it sees as its statistics, and answers with it plus its bias."""
    hooks = [norm.register_forward_pre_hook(partial(_undo, bias)) for norm, bias in biases.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _undo(bias: Tensor, norm: nn.Module, inputs: tuple[Tensor]) -> None:
    assert isinstance(norm, nn.BatchNorm2d)  # the hook is on nothing else
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)
