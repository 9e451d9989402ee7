"""What every importer takes and gives, and their last step: tensors under this project's names become a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from export.errors import ImportRefused
from export.importers.files import StateFile, list_keys
from models.config import NetworkConfig

COUNTER = ".num_batches_tracked"  # of BatchNorm: an integer that only training reads; files of old PyTorch lack it


@dataclass(frozen=True)
class Options:
    """What a file does not tell and its user may.

    `scale` is only compared with what the file is for. `residual_scale` and `family` replace what the importer would
    assume; see there.
    """

    scale: int | None = None
    residual_scale: float | None = None
    family: str | None = None
    licence: str = "not stated"


@dataclass(frozen=True)
class Imported:
    """A network of ours with the weights of a published file, and what its user should know about the way."""

    config: NetworkConfig
    network: nn.Module
    provenance: dict[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """One way in which somebody wrote down a network of one of our families.

    `recognises` looks at names, and at shapes where two layouts share all names; at most one layout may recognise a
    file. `read` then refuses it (ImportRefused) unless every tensor fits. `uses` names the `Options` that mean
    something for it, besides `scale` and `licence`.
    """

    name: str
    title: str
    recognises: Callable[[Mapping[str, Tensor]], bool]
    read: Callable[[StateFile, Options], Imported]
    uses: tuple[str, ...] = ()


def assemble(
    file: StateFile,
    tensors: Mapping[str, Tensor],
    config: NetworkConfig,
    *,
    layout: str,
    options: Options,
    warnings: tuple[str, ...] = (),
    **facts: object,
) -> Imported:
    """The network of `config` with `tensors`, which came from `file`; `facts` go into the provenance.

    Raises:
        ImportRefused: tensors that are missing, left over or misshapen, or another scale than `options.scale`.
    """
    check_fit(file.name, tensors, config)
    if options.scale not in (None, *config.scales):
        served = ", ".join(f"x{scale}" for scale in config.scales)
        raise ImportRefused(f"{file.name}: is for {served}, not for x{options.scale}")
    network = config.build()
    counters = {name: tensor for name, tensor in network.state_dict().items() if name.endswith(COUNTER)}
    network.load_state_dict(counters | dict(tensors))
    provenance = {
        "recipe": "import",
        "imported_from": {"file": file.name, "sha256": file.sha256, "layout": layout, **facts},
        "sources": [{"name": file.name, "licence": options.licence}],
        "licence": options.licence,
        "psnr": {},
    }
    return Imported(config, network.eval(), provenance, warnings)


def rename(file: StateFile, new_name: Callable[[str], str]) -> dict[str, Tensor]:
    """The file's tensors under the names that `new_name` makes of theirs.

    Raises:
        ImportRefused: two of them get the same name.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in file.tensors.items():
        if (new := new_name(name)) in renamed:
            raise ImportRefused(f"{file.name}: {name} is there twice, under an old name and a new one")
        renamed[new] = tensor
    return renamed


def check_fit(name: str, tensors: Mapping[str, Tensor], config: NetworkConfig) -> None:
    """Raises ImportRefused unless the tensors are those of `config`, by name and shape."""
    with torch.device("meta"):  # shapes only: a forged file can claim a network larger than memory
        network = config.build()
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if not key.endswith(COUNTER)}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    problems = {
        "left over": set(found) - set(expected),
        "missing": set(expected) - set(found),
        "of another shape": {key for key in set(found) & set(expected) if found[key] != expected[key]},
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {list_keys(keys)}" for what, keys in problems.items() if keys)
        raise ImportRefused(f"{name}: not a network of the family {config.family}. Tensors {listed}")


def count_blocks(name: str, tensors: Mapping[str, Tensor], indices: list[int]) -> int:
    """How many residual blocks there are, from the numbers in their names.

    Raises:
        ImportRefused: none, or a number that such a file cannot reach.
    """
    blocks = max(indices, default=-1) + 1
    if not 0 < blocks <= len(tensors):
        raise ImportRefused(f"{name}: no first convolution and body of residual blocks; it has {list_keys(tensors)}")
    return blocks


def count_features(name: str, tensors: Mapping[str, Tensor], first: str) -> int:
    """The width of the network: what the convolution `first` makes of RGB.

    Raises:
        ImportRefused: it is no convolution.
    """
    head = tensors[first]
    if head.ndim != 4 or head.shape[0] == 0:
        raise ImportRefused(f"{name}: {first} is of shape {tuple(head.shape)}: no first convolution and body")
    return head.shape[0]
