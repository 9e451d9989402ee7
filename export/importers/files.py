"""Reading a published weights file safely: no pickle code runs, a digest in its name holds, wrappers come off."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from export.errors import ImportRefused
from models.checkpoint import FORMAT

WRAPPERS = ("params_ema", "params")  # BasicSR's, the averaged weights first: they are the ones it publishes
DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[A-Za-z0-9]+$")  # torch.hub's convention, name-xxxxxxxx.pt
SHOWN_KEYS = 12


@dataclass(frozen=True)
class StateFile:
    """The tensors of one file by name, all float32, and the digest of the file."""

    name: str
    sha256: str
    tensors: dict[str, Tensor]


def read_state_file(path: Path) -> StateFile:
    """Reads `.safetensors`, or anything that `torch.load(weights_only=True)` can read.

    Raises:
        ImportRefused: the file is not such a file, its name promises another sha256, it holds something else than
            named floating-point tensors, or a value in it is not finite.
        OSError: the file cannot be opened.
    """
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    _check_name(path, sha256)
    loaded = _load_safetensors(path) if path.suffix == ".safetensors" else _load_torch(path)
    return StateFile(path.name, sha256, _tensors(path, loaded))


def list_keys(keys: Mapping[str, object] | set[str]) -> str:
    """The first few keys, sorted, for a message."""
    ordered = sorted(keys)
    more = f" and {len(ordered) - SHOWN_KEYS} more" if len(ordered) > SHOWN_KEYS else ""
    return ", ".join(ordered[:SHOWN_KEYS]) + more


def _check_name(path: Path, sha256: str) -> None:
    found = DIGEST_IN_NAME.search(path.name)
    if found and not sha256.startswith(found[1]):
        raise ImportRefused(
            f"{path}: its name promises a sha256 that begins with {found[1]}, but it begins with "
            f"{sha256[: len(found[1])]}: the file is damaged or not the published one. Download it again, or, if the "
            "name means something else, rename it"
        )


def _load_safetensors(path: Path) -> Mapping[str, object]:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                raise ImportRefused(
                    f"{path}: is already a checkpoint of this project: use `python -m export checkpoint`"
                )
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ImportRefused(f"{path}: is not a safetensors file: {error}") from error


def _load_torch(path: Path) -> Mapping[str, object]:
    try:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files it raises anything: OSError, AssertionError, KeyError...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImportRefused(f"{path}: cannot be read as tensors alone (weights_only): {reason}") from error
    if not isinstance(loaded, Mapping):
        raise ImportRefused(f"{path}: holds a {type(loaded).__name__}, not a mapping of names to tensors")
    return loaded


def _tensors(path: Path, loaded: Mapping[str, object]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        inner = loaded.get(wrapper)
        if isinstance(inner, Mapping):
            loaded = inner
            break
    if not loaded:
        raise ImportRefused(f"{path}: holds no tensors")
    if wrong := {str(key) for key, value in loaded.items() if not _is_weight(value, path.stat().st_size)}:
        raise ImportRefused(f"{path}: these keys are not plain floating-point tensors: {list_keys(wrong)}")
    tensors = {str(key): value.float().contiguous() for key, value in loaded.items() if isinstance(value, Tensor)}
    if infinite := {name for name, tensor in tensors.items() if not tensor.isfinite().all()}:
        raise ImportRefused(f"{path}: NaN or infinity in {list_keys(infinite)}")
    if all(name.startswith("module.") for name in tensors):  # saved from inside DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _is_weight(value: object, file_bytes: int) -> bool:
    # A stored number seen through strides of 0 can claim any shape; copying it would exhaust memory.
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.nbytes <= file_bytes
    )
