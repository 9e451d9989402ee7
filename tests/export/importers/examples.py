"""The same EDSR written down as its two publishers do."""

from typing import Any

import torch
from torch import Tensor

from models.edsr import Edsr

BASICSR = {"head.0.": "conv_first.", "tail.0.": "upsample.", "tail.1.": "conv_last."}


def official(network: Edsr) -> dict[str, Tensor]:
    """EDSR-PyTorch's names are this project's."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def basicsr(network: Edsr, *, blocks: int) -> dict[str, Any]:
    """BasicSR's names in its wrapper; its mean shift is no weight."""
    renamed = {}
    for name, tensor in official(network).items():
        if name.startswith(("sub_mean.", "add_mean.")):
            continue
        new = name.replace(".body.0.", ".conv1.").replace(".body.2.", ".conv2.")
        new = new.replace(f"body.{blocks}.", "conv_after_body.")
        for own, theirs in BASICSR.items():
            new = new.replace(own, theirs)
        renamed[new] = tensor
    return {"params": renamed}


def in_0_to_1(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same network for pixels in [0, 1]: every affine end rescaled."""
    changed = dict(tensors)
    changed["head.0.weight"] = tensors["head.0.weight"] * 255
    for name in ("tail.1.weight", "tail.1.bias", "sub_mean.bias", "add_mean.bias"):
        changed[name] = tensors[name] / 255
    return changed


def pixels(seed: int = 0) -> Tensor:
    """Noise in [0, 255], [1, 3, 9, 11]."""
    return torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(seed)) * 255
