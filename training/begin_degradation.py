"""How the degradation GAN's generators begin: Low-to-High as bilinear interpolation, High-to-Low as the mean of 4x4.

Both end in a tanh, for which the last ReLU of each is used: a sum of ReLUs draws the inverse of a tanh in straight
pieces. BatchNorms must keep the statistics they have (training.warm.keep_statistics): those of a batch would take the
picture's grey level away.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.degradation import H2l, L2h, PostNormBlock, PreNormBlock
from training.carry import bias_of, carry, convs, silence

COLOURS = 3
# Where the straight pieces meet, over [-1, 1]; the last is where the drawn line ends, just before a tanh saturates.
KNOTS = (0.0, 0.4, 0.65, 0.82, 0.93, 0.99)


def begin_low_to_high(network: L2h) -> None:
    """Six features carry the colours and their negatives, so that what one ReLU takes away the other has.

    Raises:
        ValueError: the network is too narrow.
    """
    signed_colours = 2 * COLOURS
    head = convs(network.main)[-1].in_channels
    if head < (needed := signed_colours * (len(KNOTS) - 1)):
        raise ValueError(f"head_features is {head}: bilinear interpolation through a tanh takes {needed}")
    for target in range(signed_colours):
        carry(network.layers_in, target % COLOURS, target, 1.0 if target < COLOURS else -1.0)
    for block in network.layers_set_final.modules():
        if isinstance(block, PreNormBlock):
            block.conv2.weight.zero_()
            for skip in convs(block.skip):
                _carry_all(skip, signed_colours)
    (widths,) = convs(network.a1)
    _carry_all(widths, signed_colours)
    for mix in network.layers_set_final_up.modules():
        if isinstance(mix, nn.ConvTranspose2d):
            _rejoin(mix)
    _draw_atanh(network.main)


def _rejoin(mix: nn.ConvTranspose2d) -> None:
    """Each signed colour from its positive and negative parts, halved: before it, it was added to itself."""
    for target in range(2 * COLOURS):
        opposite = (target + COLOURS) % (2 * COLOURS)
        mix.weight[:, target].zero_()
        mix.weight[target, target], mix.weight[opposite, target] = 0.5, -0.5
        if mix.bias is not None:
            mix.bias[target] = 0


def _draw_atanh(main: nn.Sequential) -> None:
    first, bend, last = convs(main)
    slopes, pieces = _slopes(KNOTS), len(KNOTS) - 1
    last.weight.zero_()
    bias_of(last).zero_()
    for feature in range(2 * COLOURS):
        carry(first, feature, feature)
        sign = 1.0 if feature < COLOURS else -1.0
        for piece in range(pieces):
            unit = feature * pieces + piece
            carry(bend, feature, unit)
            bias_of(bend)[unit] = -KNOTS[piece]
            last.weight[feature % COLOURS, unit] = sign * slopes[piece]


def begin_high_to_low(network: H2l) -> None:
    """Colours in [0, 1], which no ReLU harms: halved twice by means of 2x2, twice by moving pixels into features, and
    moved back by the two pixel shuffles.

    Raises:
        ValueError: the network is too narrow.
    """
    (head,), (tail,) = convs(network.head), convs(network.tail)
    features = tail.in_channels
    if features < (needed := 16 * COLOURS):
        raise ValueError(f"features is {features}: 4x4 pixels of three colours take {needed}")
    for block in network.modules():
        if isinstance(block, PostNormBlock):
            *_, last_norm = (layer for layer in block.body if isinstance(layer, nn.BatchNorm2d))
            silence(last_norm)
    for colour in range(COLOURS):
        carry(head, colour, colour, 0.5)
        bias_of(head)[colour] = 0.5
    first, second, third, fourth = (convs(halving)[-1] for halving in network.encoder)
    for conv in (first, second):
        for colour in range(COLOURS):
            _taps(conv, colour, colour, torch.full((2, 2), 0.25))
    for conv, width in ((third, COLOURS), (fourth, 4 * COLOURS)):
        for feature in range(width):
            for place in range(4):  # the order of a pixel shuffle
                taps = torch.zeros(4)
                taps[place] = 1
                _taps(conv, feature, 4 * feature + place, taps.view(2, 2))
    up, last_up = (convs(doubling)[-1] for doubling in network.decoder)
    _carry_all(up, 16 * COLOURS)
    _draw_atanh_of_colours(last_up, tail)


def _draw_atanh_of_colours(up: nn.Conv2d, tail: nn.Conv2d) -> None:
    """Over all of [-1, 1] in one line of pieces, from colours in [0, 1] and before the last shuffle's ReLU."""
    knots = tuple(-knot for knot in reversed(KNOTS)) + KNOTS[1:]
    slopes = _slopes(knots)
    tail.weight.zero_()
    bias_of(tail).fill_(math.atanh(knots[0]))
    middle = tail.kernel_size[0] // 2
    for colour in range(COLOURS):
        for piece, slope in enumerate(slopes):
            unit = colour * len(slopes) + piece
            for place in range(4):
                carry(up, 4 * colour + place, 4 * unit + place, 2.0)
                bias_of(up)[4 * unit + place] = -1 - knots[piece]
            tail.weight[colour, unit, middle, middle] = slope


def _slopes(knots: Sequence[float]) -> list[float]:
    """What each ReLU beginning at a knot adds to the slope, so that their sum is atanh at all knots."""
    rises = [(math.atanh(after) - math.atanh(before)) / (after - before) for before, after in pairwise(knots)]
    return [rises[0], *(after - before for before, after in pairwise(rises))]


def _taps(conv: nn.Conv2d, source: int, target: int, taps: Tensor) -> None:
    """Output `target` of a convolution of stride 2 from the 2x2 pixels that become one."""
    conv.weight[target].zero_()
    conv.weight[target, source, 1:, 1:] = taps
    bias_of(conv)[target] = 0


def _carry_all(conv: nn.Conv2d, count: int) -> None:
    for feature in range(count):
        carry(conv, feature, feature)
