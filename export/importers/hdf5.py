"""Reading the weights that Keras saved as HDF5, as plain arrays: names in the order of the network's layers."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import torch
from torch import Tensor

from export.errors import ImportRefused

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether the file says of itself that it is HDF5."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def load_hdf5(path: Path) -> Mapping[str, Tensor]:
    """The arrays as "layer/weight", such as "conv2d_1/kernel", layer by layer in the network's order.

    Reads what `save_weights` of Keras 1 and 2 writes, and the weights in what `save` writes.

    Raises:
        ImportRefused: damaged, without Keras' list of layers, or an array that is not all in this file.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs:
                raise ImportRefused(
                    f"{path}: is HDF5, but has no layer_names, by which Keras 1 and 2 say what their weights are; "
                    "save it with Keras 2's save_weights"
                )
            tensors = {}
            for layer in _names(root.attrs["layer_names"]):
                for weight in _names(root[layer].attrs["weight_names"]):
                    name = f"{layer}/{weight.rpartition('/')[2].partition(':')[0]}"
                    tensors[name] = _tensor(path, file, root[layer][weight])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:  # h5py on damaged files
        raise ImportRefused(f"{path}: cannot be read as Keras' weights: {error}") from error
    return tensors


def _tensor(path: Path, file: h5py.File, dataset: h5py.Dataset) -> Tensor:
    # HDF5 can point into other files of this machine, and can claim more than it stores.
    outside = dataset.file.filename != file.filename or dataset.external is not None or dataset.is_virtual
    if outside or dataset.nbytes > path.stat().st_size:
        raise ImportRefused(f"{path}: {dataset.name} is not all in this file")
    return torch.from_numpy(dataset[()])


def _names(attribute: Iterable[bytes | str]) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in attribute]
