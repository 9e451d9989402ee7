"""SRResNet as Keras wrote it: kinds and order of the layers say what is what, never their numbers."""

from pathlib import Path

import h5py
import pytest
import torch

from export.errors import ImportRefused
from export.importers import import_published, read_state_file
from models import SrresnetConfig
from models.srresnet import Srresnet
from tests.export.importers.examples import lively, pixels, write_keras


def config(scale: int, *, blocks: int = 2) -> SrresnetConfig:
    return SrresnetConfig(scale, blocks=blocks, features=4, prelu="channel", conv_bias=True, norm_eps=1e-3, tanh=True)


def made(scale: int) -> Srresnet:
    return lively(config(scale).build())


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_the_network_comes_back_as_it_was_saved(tmp_path: Path, scale: int) -> None:
    imported = import_published(read_state_file(write_keras(tmp_path / "a.h5", made(scale))))
    assert imported.config == config(scale)
    assert torch.equal(imported.network(pixels() / 255), made(scale)(pixels() / 255))


@torch.no_grad()
def test_the_second_network_of_a_process_and_a_whole_model_are_read_too(tmp_path: Path) -> None:
    later = write_keras(tmp_path / "later.h5", made(4), first_number=9)
    whole = write_keras(tmp_path / "whole.h5", made(4), group="model_weights")
    for path in (later, whole):
        imported = import_published(read_state_file(path))
        assert torch.equal(imported.network(pixels() / 255), made(4)(pixels() / 255))


def test_the_suffix_of_a_file_does_not_matter(tmp_path: Path) -> None:
    assert import_published(read_state_file(write_keras(tmp_path / "weights.bin", made(2)))).config == config(2)


def test_another_network_of_keras_is_refused_with_its_layers(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "a.h5", made(2))
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != b"p_re_lu"]
    with pytest.raises(ImportRefused, match="8 convolutions, 5 BatchNorms and 3 PReLUs"):
        import_published(read_state_file(path))
