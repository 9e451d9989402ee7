"""Networks written down as their publishers do: the same EDSR under two kinds of names, and others as modules of their
publishers' structure, whose state dicts have the published names and whose answers are the oracle.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from export.importers import StateFile
from models.edsr import Edsr
from models.srresnet import Srresnet

Module = TypeVar("Module", bound=nn.Module)
BASICSR = {"head.0.": "conv_first.", "tail.0.": "upsample.", "tail.1.": "conv_last."}


def state_file(tensors: dict[str, Tensor], name: str = "published.pt") -> StateFile:
    return StateFile(name, "0" * 64, tensors)


def official(network: nn.Module) -> dict[str, Tensor]:
    """EDSR-PyTorch's names are this project's."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def without_counters(network: nn.Module) -> dict[str, Tensor]:
    """As `read_state_file` gives it, and as PyTorch 0.4.0 saved it."""
    return {name: tensor for name, tensor in official(network).items() if "num_batches_tracked" not in name}


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


def in_0_to_1(tensors: dict[str, Tensor], *, last: str = "tail.1") -> dict[str, Tensor]:
    """The same network for pixels in [0, 1]: every affine end rescaled."""
    changed = dict(tensors)
    changed["head.0.weight"] = tensors["head.0.weight"] * 255
    for name in (f"{last}.weight", f"{last}.bias", "sub_mean.bias", "add_mean.bias"):
        changed[name] = tensors[name] / 255
    return changed


def pixels(seed: int = 0) -> Tensor:
    """Noise in [0, 255], [1, 3, 9, 11]."""
    return torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(seed)) * 255


def lively(network: Module, *, seed: int = 0) -> Module:
    """Random weights, slopes and statistics, so that none of them can be left out without a trace; in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if "mean." in name or not tensor.is_floating_point():
                continue  # a mean shift is a constant
            noise = torch.rand(tensor.shape, generator=chance)
            tensor.copy_(noise * 0.5 + 0.1 if tensor.ndim < 4 else (noise - 0.5) * 0.6)
    return network.eval()


class Skip(nn.Module):
    """The input plus what `inner` makes of it, under the names that `inner` gives."""

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs
        for layer in self.children():
            hidden = layer(hidden)
        return hidden + inputs


class LornatangBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.rcb = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        changed: Tensor = self.rcb(inputs)
        return changed + inputs


class LornatangUp(nn.Module):
    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        grow = nn.Conv2d(width, factor * factor * width, 3, padding=1)
        self.upsample_block = nn.Sequential(grow, nn.PixelShuffle(factor), nn.PReLU())

    def forward(self, inputs: Tensor) -> Tensor:
        larger: Tensor = self.upsample_block(inputs)
        return larger


class Lornatang(nn.Module):
    """Pixels in [0, 1] on both sides."""

    def __init__(self, factors: Iterable[int], *, blocks: int = 2, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.trunk = nn.Sequential(*(LornatangBlock(width) for _ in range(blocks)))
        self.conv2 = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.upsampling = nn.Sequential(*(LornatangUp(width, factor) for factor in factors))
        self.conv3 = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.conv1(lr)
        sr: Tensor = self.conv3(self.upsampling(self.conv2(self.trunk(shallow)) + shallow))
        return sr


class LeftthomasBlock(Skip):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)


class LeftthomasUp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.pixel_shuffle = nn.PixelShuffle(2)
        self.prelu = nn.PReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        larger: Tensor = self.prelu(self.pixel_shuffle(self.conv(inputs)))
        return larger


class Leftthomas(nn.Module):
    """Pixels in [0, 1] on both sides; always five residual blocks."""

    def __init__(self, steps: int, *, width: int = 4) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        for number in range(2, 7):
            self.add_module(f"block{number}", LeftthomasBlock(width))
        self.block7 = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        up = [LeftthomasUp(width) for _ in range(steps)]
        self.block8 = nn.Sequential(*up, nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.block1(lr)
        hidden = shallow
        for number in range(2, 7):
            hidden = self.get_submodule(f"block{number}")(hidden)
        sr: Tensor = (torch.tanh(self.block8(self.block7(hidden) + shallow)) + 1) / 2
        return sr


class CompactBlock(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        padding = kernel // 2
        first, second = (nn.Conv2d(width, width, kernel, padding=padding) for _ in range(2))
        self.body = nn.Sequential(first, nn.ReLU(), second)

    def forward(self, inputs: Tensor) -> Tensor:
        changed: Tensor = self.body(inputs)
        return changed * 0.1 + inputs


class CompactMdsr(nn.Module):
    """BGR in [0, 255] on both sides."""

    mean = torch.tensor([103.1546, 111.5615, 114.3563]).view(3, 1, 1)

    def __init__(self, *, blocks: int = 2, width: int = 4) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        self.pre_process = nn.ModuleList(
            nn.Sequential(CompactBlock(width, 5), CompactBlock(width, 5)) for _ in range(3)
        )
        self.body = nn.Sequential(
            *(CompactBlock(width, 3) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.upsample = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)) for scale in (2, 3, 4)
        )

    def forward(self, lr: Tensor, scale: int) -> Tensor:
        shallow = self.pre_process[scale - 2](torch.relu(self.head(lr - self.mean)))
        sr: Tensor = self.upsample[scale - 2](torch.relu(self.body(shallow)) + shallow) + self.mean
        return sr


def write_keras(path: Path, network: Srresnet, *, first_number: int = 0, group: str | None = None) -> Path:
    """An `Srresnet` with biases and a slope per channel as Keras' `save_weights`, or inside `group` `save`, writes it.

    `first_number` is of the first layer of each kind: Keras counts on while a process makes more networks.
    """
    counts: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        root = file if group is None else file.create_group(group)
        names = []
        for module_name, module in network.named_modules():
            if (kind := KERAS_KINDS.get(type(module))) is None:
                continue
            number = counts.setdefault(kind, first_number)
            counts[kind] += 1
            layer = kind if number == 0 else f"{kind}_{number}"
            names.append(layer)
            weights = {f"{layer}/{weight}:0": value for weight, value in _keras_weights(module_name, module).items()}
            root.create_group(layer).attrs["weight_names"] = np.array(list(weights), dtype="S")
            for name, value in weights.items():
                root[layer].create_dataset(name, data=value)
        root.create_group("add").attrs["weight_names"] = np.array([])
        root.attrs["layer_names"] = np.array([*names, "add"], dtype="S")
    return path


KERAS_KINDS: dict[type[nn.Module], str] = {nn.Conv2d: "conv2d", nn.BatchNorm2d: "batch_norm", nn.PReLU: "p_re_lu"}


def _keras_weights(name: str, module: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    if isinstance(module, nn.BatchNorm2d):
        names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
        return {theirs: tensors[ours] for theirs, ours in names.items()}
    if isinstance(module, nn.PReLU):
        return {"alpha": tensors["weight"].reshape(1, 1, -1)}
    kernel, bias = tensors["weight"].transpose(2, 3, 1, 0), tensors["bias"]
    if name.startswith("up."):
        features = len(bias) // 4
        # Where depth_to_space finds the pixel (row, column) of a feature, and where PixelShuffle does.
        order = [4 * feature + 2 * row + column for row in (0, 1) for column in (0, 1) for feature in range(features)]
        kernel, bias = kernel[..., order], bias[order]
    return {"kernel": kernel, "bias": bias}
