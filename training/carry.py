"""Weights that hand something on unchanged, or nothing at all: what networks begin with in training.begin."""

from torch import Tensor, nn


def carry(conv: nn.Conv2d, source: int, target: int, factor: float = 1.0) -> None:
    """Output `target` becomes `factor` times input `source`, pixel by pixel."""
    middle = conv.kernel_size[0] // 2
    conv.weight[target].zero_()
    conv.weight[target, source, middle, middle] = factor
    if conv.bias is not None:
        conv.bias[target] = 0


def silence(norm: nn.BatchNorm2d) -> None:
    """The residual branch that ends here begins as nothing."""
    norm.weight.zero_()
    norm.bias.zero_()


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one.

    Raises:
        TypeError: it has none.
    """
    if conv.bias is None:
        raise TypeError(f"{conv} has no bias")
    return conv.bias


def convs(module: nn.Module) -> list[nn.Conv2d]:
    """All convolutions in a part of a network, in its order."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
