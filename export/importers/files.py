"""Reading a published weights file safely: no pickle code runs, a digest in its name holds, wrappers come off."""

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from export.errors import ImportRefused
from export.importers.hdf5 import is_hdf5, load_hdf5
from export.importers.pickles import explain
from models.checkpoint import FORMAT

# BasicSR's, then those of training scripts. The averaged weights come first: they are what is meant to be used.
WRAPPERS = ("params_ema", "params", "ema_state_dict", "state_dict")
PREFIXES = ("module.", "_orig_mod.")  # saved from inside DataParallel or an average; from inside torch.compile
UNUSED = re.compile(r"(^|\.)(num_batches_tracked|n_averaged)$")  # integers that count training steps
DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[A-Za-z0-9]+$")  # torch.hub's convention, name-xxxxxxxx.pt
SHOWN_KEYS = 12


@dataclass(frozen=True)
class StateFile:
    """The tensors of one file by name, in the file's order, all float32, and the digest of the file."""

    name: str
    sha256: str
    tensors: dict[str, Tensor]


def read_state_file(path: Path) -> StateFile:
    """Reads `.safetensors`, Keras' HDF5 weights, or anything that `torch.load(weights_only=True)` can read.

    Raises:
        ImportRefused: the file is not such a file, its name promises another sha256, it holds something else than
            named floating-point tensors, or a value in it is not finite.
        OSError: the file cannot be opened.
    """
    sha256 = file_sha256(path)
    _check_name(path, sha256)
    if path.suffix == ".safetensors":
        loaded = _load_safetensors(path)
    elif is_hdf5(path):
        loaded = load_hdf5(path)
    else:
        loaded = _load_torch(path)
    return StateFile(path.name, sha256, _tensors(path, loaded))


def file_sha256(path: Path) -> str:
    """The digest of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # remarks on odd pickle protocols; the answer says enough
            loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files it raises anything: OSError, AssertionError, KeyError...
        raise ImportRefused(f"{path}: {explain(path, error)}") from error
    if not isinstance(loaded, Mapping):
        raise ImportRefused(f"{path}: holds a {type(loaded).__name__}, not a mapping of names to tensors")
    return loaded


def _tensors(path: Path, loaded: Mapping[str, object]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        inner = loaded.get(wrapper)
        if isinstance(inner, Mapping):
            loaded = inner
            break
    loaded = {str(key): value for key, value in loaded.items() if not UNUSED.search(str(key))}
    if not loaded:
        raise ImportRefused(f"{path}: holds no tensors")
    if wrong := {key for key, value in loaded.items() if not _is_weight(value, path.stat().st_size)}:
        raise ImportRefused(f"{path}: these keys are not plain floating-point tensors: {list_keys(wrong)}")
    tensors = {key: value.float().contiguous() for key, value in loaded.items() if isinstance(value, Tensor)}
    if infinite := {name for name, tensor in tensors.items() if not tensor.isfinite().all()}:
        raise ImportRefused(f"{path}: NaN or infinity in {list_keys(infinite)}")
    while prefix := next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _is_weight(value: object, file_bytes: int) -> bool:
    # A stored number seen through strides of 0 can claim any shape; copying it would exhaust memory.
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.nbytes <= file_bytes
    )
