"""The released Low-to-High generator, in the old pickle that it was released in."""

from pathlib import Path

import pytest
import torch

from export.errors import ImportRefused
from export.importers import import_published, read_state_file
from models import L2hConfig
from models.degradation import L2h
from tests.export.importers.examples import lively, official, pixels, state_file, without_counters

CONFIG = L2hConfig(features=6, narrow_features=4, head_features=5, blocks=2, narrow_blocks=3)
LR = pixels() / 255


def made() -> L2h:
    return lively(CONFIG.build())


@pytest.mark.parametrize("counters", [True, False], ids=["pytorch-0.4.1", "pytorch-0.4.0"])
@torch.no_grad()
def test_the_network_comes_back_as_it_was_saved(tmp_path: Path, counters: bool) -> None:
    path = tmp_path / "model.pkl"
    tensors = official(made()) if counters else without_counters(made())
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    imported = import_published(read_state_file(path))
    assert imported.config == CONFIG
    assert torch.equal(imported.network(LR), made()(LR))


def test_the_released_sizes_are_found() -> None:
    with torch.device("meta"):
        released = L2hConfig().build()
    tensors = {name: torch.zeros(1).expand(tensor.shape) for name, tensor in without_counters(released).items()}
    assert import_published(state_file(tensors)).config == L2hConfig()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a2.0.weight", r"family l2h\. Tensors missing: a2\.0\.weight"),
        ("layers_set_final.1.0.skip.bias", r"missing: layers_set_final\.1\.0\.skip\.bias"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_refused(name: str, reason: str) -> None:
    tensors = without_counters(made())
    del tensors[name]
    with pytest.raises(ImportRefused, match=reason):
        import_published(state_file(tensors))


@pytest.mark.parametrize("name", ["main.0.weight", "layers_in.weight"])
def test_a_misshapen_convolution_is_refused(name: str) -> None:
    with pytest.raises(ImportRefused, match="published"):
        import_published(state_file(without_counters(made()) | {name: torch.zeros(())}))
