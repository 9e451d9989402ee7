"""HDF5 is read as arrays of this very file, in the order of Keras' layers; anything else is refused."""

import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from export.errors import ImportRefused
from export.importers import read_state_file


def made(path: Path, *, order: tuple[str, ...] = ("conv2d_10", "conv2d_9")) -> Path:
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(order):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
            group.create_dataset(f"{layer}/kernel:0", data=np.full(3, float(number)))
        file.attrs["layer_names"] = [layer.encode() for layer in order]
    return path


def test_arrays_come_as_float32_in_the_order_of_the_layers(tmp_path: Path) -> None:
    tensors = read_state_file(made(tmp_path / "a.h5")).tensors
    assert list(tensors) == ["conv2d_10/kernel", "conv2d_9/kernel"]
    assert torch.equal(tensors["conv2d_9/kernel"], torch.ones(3))


def point_elsewhere(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["conv2d_9"]
        file["conv2d_9"] = h5py.ExternalLink(made(path.with_name("other.h5")), "conv2d_9")


def store_elsewhere(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(np.ones(3, np.float32).tobytes())
    replace(path, external=[(secret, 0, 12)], shape=(3,), dtype="f4")


def be_virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(made(path.with_name("other.h5")), "conv2d_9/conv2d_9/kernel:0", (3,))
    with h5py.File(path, "r+") as file:
        del file["conv2d_9/conv2d_9/kernel:0"]
        file.create_virtual_dataset("conv2d_9/conv2d_9/kernel:0", layout)


def claim_much(path: Path) -> None:
    replace(path, shape=(1 << 40,), dtype="f4", chunks=(1024,), compression="gzip")


def replace(path: Path, **dataset: object) -> None:
    with h5py.File(path, "r+") as file:
        del file["conv2d_9/conv2d_9/kernel:0"]
        file.create_dataset("conv2d_9/conv2d_9/kernel:0", **dataset)


@pytest.mark.parametrize("change", [point_elsewhere, store_elsewhere, be_virtual, claim_much])
def test_what_is_not_all_in_the_file_is_refused(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = made(tmp_path / "a.h5")
    change(path)
    with pytest.raises(ImportRefused, match=r"kernel:0 is not all in this file"):
        read_state_file(path)


def test_hdf5_without_keras_layers_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("layers")
    with pytest.raises(ImportRefused, match=r"has no layer_names.*Keras 2's save_weights"):
        read_state_file(tmp_path / "a.h5")


@pytest.mark.parametrize("values", [np.array([1, 2]), np.array(["a"], dtype="S1")], ids=["integers", "text"])
def test_what_is_no_floating_point_array_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    path = made(tmp_path / "a.h5")
    replace(path, data=values)
    with pytest.raises(ImportRefused, match=r"a\.h5"):
        read_state_file(path)


def test_damaged_files_are_read_or_refused_and_never_anything_else(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5")
    whole, chance = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8, 32))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        try:
            read_state_file(path)
        except ImportRefused:
            refused += 1
    assert refused > 50
