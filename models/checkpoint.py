"""Checkpoints: one .safetensors file with the tensors, and in its header the config and the provenance as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models import FAMILIES
from models.config import NetworkConfig

FORMAT = "srserve-checkpoint-1"


class CheckpointError(ValueError):
    """The file is not a checkpoint of this project; the message names the file and what does not fit."""


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights, and where they come from."""

    config: NetworkConfig
    network: nn.Module
    provenance: dict[str, Any]


def save_checkpoint(path: Path, network: nn.Module, *, config: NetworkConfig, provenance: Mapping[str, Any]) -> None:
    """Writes atomically: a reader never sees half a file. Tensors are stored contiguous and on the CPU.

    `provenance` says recipe, commit, steps, seed, sources, licence and psnr; it must be JSON-ready.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config.to_dict(), sort_keys=True),
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and builds its network, in eval mode, on the CPU.

    Raises:
        CheckpointError: not a safetensors file, not of this format, an unknown family, or tensors that do not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: header field 'format' is {metadata.get('format')!r}, not {FORMAT!r}")
    config = _read_config(path, metadata)
    network = config.build()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: tensors do not fit its config: {error}") from error
    return Checkpoint(config, network.eval(), json.loads(metadata.get("provenance", "{}")))


def _read_config(path: Path, metadata: Mapping[str, str]) -> NetworkConfig:
    try:
        record = json.loads(metadata["config"])
        family = FAMILIES[record["family"]]
        return family.from_dict(record)
    except KeyError as error:
        known = ", ".join(sorted(FAMILIES))
        raise CheckpointError(f"{path}: header has no usable config ({error}); families: {known}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
