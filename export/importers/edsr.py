"""EDSR checkpoints of the official EDSR-PyTorch repository and of BasicSR.

Both hold the same numbers under different names. Neither says what network it is: hyper-parameters are read
off names and shapes, and the file is refused unless every tensor then fits.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from export.errors import ImportRefused
from export.importers.files import StateFile, list_keys
from models.edsr import Edsr, EdsrConfig
from models.layers import DIV2K_MEAN

# BasicSR's name -> the official one. {n} is the number of blocks, the index of the convolution that ends
# the body.
BASICSR_NAMES = (
    (re.compile(r"^conv_first\."), "head.0."),
    (re.compile(r"^body\.(\d+)\.conv1\."), r"body.\1.body.0."),
    (re.compile(r"^body\.(\d+)\.conv2\."), r"body.\1.body.2."),
    (re.compile(r"^conv_after_body\."), "body.{n}."),
    (re.compile(r"^upsample\."), "tail.0."),
    (re.compile(r"^conv_last\."), "tail.1."),
)
BLOCK = re.compile(r"^body\.(\d+)\.")
UPSAMPLING = re.compile(r"^tail\.0\.(\d+)\.weight$")
# Blocks and features of the published networks; nothing in a file tells their residual scale (paper,
# section 3.1).
KNOWN_RESIDUAL_SCALES = {(16, 64): 1.0, (32, 256): 0.1}


@dataclass(frozen=True)
class Imported:
    """A network of ours with the weights of a published file, and what its user should know about the way."""

    config: EdsrConfig
    network: Edsr
    provenance: dict[str, Any]
    warnings: tuple[str, ...]


def import_edsr(
    file: StateFile,
    *,
    scale: int | None = None,
    residual_scale: float | None = None,
    licence: str = "not stated",
) -> Imported:
    """Builds the EDSR that `file` holds; `scale` is only compared, `residual_scale` overrides the rule.

    Without it, 32 blocks of 256 features have 0.1 and all others 1.0; a warning says so for any but the two
    published sizes. Networks for pixels in [0, 1] are converted to [0, 255], which is exact but for float32
    rounding.

    Raises:
        ImportRefused: an unknown layout, tensors that are missing, left over or misshapen, another scale than
            `scale`, or mean shifts that do more than shift by DIV2K's mean.
    """
    layout, tensors = _official_names(file)
    config, warnings = _infer_config(file.name, tensors, scale=scale, residual_scale=residual_scale)
    if layout == "basicsr":  # its mean shift is code, not weights
        tensors |= _mean_shift()
    _check_fit(file.name, tensors, config)
    value_range = _check_mean_shift(file.name, tensors)
    if value_range == 1:
        tensors = _to_byte_range(tensors)
    network = config.build()
    network.load_state_dict(tensors)
    provenance = {
        "recipe": "import",
        "imported_from": {
            "file": file.name,
            "sha256": file.sha256,
            "layout": layout,
            "value_range": value_range,
        },
        "sources": [{"name": file.name, "licence": licence}],
        "licence": licence,
        "psnr": {},
    }
    return Imported(config, network.eval(), provenance, tuple(warnings))


def _official_names(file: StateFile) -> tuple[str, dict[str, Tensor]]:
    if "head.0.weight" in file.tensors:
        return "edsr-pytorch", dict(file.tensors)
    if "conv_first.weight" not in file.tensors:
        raise ImportRefused(
            f"{file.name}: neither EDSR-PyTorch's layout (head.0.weight) nor BasicSR's (conv_first.weight); "
            f"it has {list_keys(file.tensors)}"
        )
    blocks = _blocks(file.tensors) + 1  # the last convolution is not in BasicSR's body
    renamed = {}
    for name, tensor in file.tensors.items():
        official = name
        for pattern, replacement in BASICSR_NAMES:
            official = pattern.sub(replacement.replace("{n}", str(blocks)), official)
            if official != name:
                break
        renamed[official] = tensor
    return "basicsr", renamed


def _blocks(tensors: dict[str, Tensor]) -> int:
    """The largest index in the body; -1 if there is no body."""
    return max((int(found[1]) for name in tensors if (found := BLOCK.match(name))), default=-1)


def _infer_config(
    name: str, tensors: dict[str, Tensor], *, scale: int | None, residual_scale: float | None
) -> tuple[EdsrConfig, list[str]]:
    blocks, head = _blocks(tensors), tensors["head.0.weight"]
    features = head.shape[0] if head.ndim == 4 else 0
    if not 0 < blocks <= len(tensors) or features == 0:
        raise ImportRefused(f"{name}: no first convolution and body of residual blocks; it has {list_keys(tensors)}")
    found = _scale(name, tensors, features)
    if scale not in (None, found):
        raise ImportRefused(f"{name}: its upsampler is for x{found}, not for x{scale}")
    warnings = []
    if residual_scale is None:
        residual_scale = KNOWN_RESIDUAL_SCALES.get((blocks, features), 1.0)
        if (blocks, features) not in KNOWN_RESIDUAL_SCALES:
            warnings.append(
                f"{name}: {blocks} blocks of {features} features are not a published EDSR, and no file tells its "
                f"residual scale: {residual_scale} is assumed; --residual-scale says otherwise"
            )
    return EdsrConfig(found, blocks=blocks, features=features, residual_scale=residual_scale), warnings


def _scale(name: str, tensors: dict[str, Tensor], features: int) -> int:
    upsampling = [tensors[key] for key in sorted(tensors) if UPSAMPLING.match(key)]
    factors = [tensor.shape[0] / features if tensor.ndim == 4 else 0 for tensor in upsampling]
    if factors == [9]:
        return 3
    if 1 <= len(factors) <= 3 and set(factors) == {4}:
        return 1 << len(factors)
    raise ImportRefused(f"{name}: an upsampler with channel factors {factors} is none of EDSR's (9; 4; 4, 4; 4, 4, 4)")


def _check_fit(name: str, tensors: dict[str, Tensor], config: EdsrConfig) -> None:
    with torch.device("meta"):  # shapes only: a forged file can claim a network larger than memory
        network = config.build()
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    problems = {
        "left over": set(found) - set(expected),
        "missing": set(expected) - set(found),
        "of another shape": {key for key in set(found) & set(expected) if found[key] != expected[key]},
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {list_keys(keys)}" for what, keys in problems.items() if keys)
        raise ImportRefused(f"{name}: not an EDSR. Tensors {listed}")


def _check_mean_shift(name: str, tensors: dict[str, Tensor]) -> int:
    """The range of the network's pixels, 255 or 1, which only the mean shift tells.

    Raises:
        ImportRefused: a shift that mixes channels, or shifts by anything but DIV2K's mean.
    """
    value_range = 255 if tensors["add_mean.bias"][0] > 2 else 1
    for key, expected in _mean_shift(value_range).items():
        if not torch.allclose(tensors[key], expected, rtol=1e-3, atol=1e-6):
            raise ImportRefused(
                f"{name}: {key} is {tensors[key].flatten().tolist()}, not {expected.flatten().tolist()}: it does more "
                "than shift by DIV2K's mean"
            )
    return value_range


def _mean_shift(value_range: int = 255) -> dict[str, Tensor]:
    """The four tensors as the official code makes them: 1x1 convolutions with the identity (its `MeanShift`)."""
    identity, mean = torch.eye(3).view(3, 3, 1, 1), value_range * torch.tensor(DIV2K_MEAN)
    return {
        "sub_mean.weight": identity,
        "sub_mean.bias": -mean,
        "add_mean.weight": identity.clone(),
        "add_mean.bias": mean,
    }


def _to_byte_range(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """From pixels in [0, 1] to [0, 255]: the first convolution divides, the last multiplies, the shifts scale."""
    factors = {"head.0.weight": 1 / 255, "tail.1.weight": 255, "tail.1.bias": 255}
    factors |= {"sub_mean.bias": 255, "add_mean.bias": 255}
    return {name: tensor * factors.get(name, 1) for name, tensor in tensors.items()}
