"""The mean shift of EDSR and MDSR, written as two frozen convolutions; only it tells the range of a file's pixels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from export.errors import ImportRefused
from models.layers import DIV2K_MEAN


def mean_shift(value_range: float = 255.0, mean: tuple[float, float, float] = DIV2K_MEAN) -> dict[str, Tensor]:
    """The four tensors as the official code makes them: 1x1 convolutions with the identity (its `MeanShift`)."""
    identity, shift = torch.eye(3).view(3, 3, 1, 1), value_range * torch.tensor(mean)
    return {
        "sub_mean.weight": identity,
        "sub_mean.bias": -shift,
        "add_mean.weight": identity.clone(),
        "add_mean.bias": shift,
    }


def in_byte_range(name: str, tensors: Mapping[str, Tensor], *, last: str) -> tuple[dict[str, Tensor], int]:
    """The same network for pixels in [0, 255], and the range that the file's was for, 255 or 1.

    The first convolution then divides, the one named `last` multiplies, the shifts scale: exact but for float32
    rounding. Needs tensors that fit the network.

    Raises:
        ImportRefused: a shift that mixes channels, or shifts by anything but DIV2K's mean.
    """
    value_range = 255 if tensors["add_mean.bias"][0] > 2 else 1
    for key, expected in mean_shift(value_range).items():
        if not torch.allclose(tensors[key], expected, rtol=1e-3, atol=1e-6):
            raise ImportRefused(
                f"{name}: {key} is {tensors[key].flatten().tolist()}, not {expected.flatten().tolist()}: it does more "
                "than shift by DIV2K's mean"
            )
    if value_range == 255:
        return dict(tensors), value_range
    factors = {"head.0.weight": 1 / 255, f"{last}.weight": 255, f"{last}.bias": 255}
    factors |= {"sub_mean.bias": 255, "add_mean.bias": 255}
    return {key: tensor * factors.get(key, 1) for key, tensor in tensors.items()}, value_range
