"""The multiply-adds of a graph, which is what the service predicts a request's time from: counted, not derived."""

import copy
import math

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from export.contract import graph_inputs, picture_size
from service.manifest import Manifest

SIDE = 48  # LR pixels; a multiple of every network's grid, and more than any strip at a border is wide


def macs_per_lr_pixel(module: nn.Module, facts: Manifest) -> int:
    """Multiply-adds of all convolutions and matrix products for one LR pixel, of a module from `with_pixels`.

    Of a network of one size it is the mean over its pixels. Of any other it is the cost of one more pixel far from the
    border: some networks do more at the border, which grows with the side of the image and not with its area.
    """
    module = copy.deepcopy(module).to("meta")
    fixed = picture_size(facts)
    if facts.fixed_size is not None and fixed is not None:
        return _macs(module, facts, *fixed) // math.prod(facts.fixed_size)
    times = facts.scale if facts.direction == "down" else 1
    small, middle, large = (_macs(module, facts, side, side) for side in (n * SIDE * times for n in (1, 2, 3)))
    # Cost = area + border + constant, of which the second difference along the side leaves twice the area's part.
    return (large - 2 * middle + small) // (2 * SIDE * SIDE)


def _macs(module: nn.Module, facts: Manifest, height: int, width: int) -> int:
    inputs = [value.zeros({"N": 1, "H": height, "W": width}).to("meta") for value in graph_inputs(facts)]
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops()) // 2
