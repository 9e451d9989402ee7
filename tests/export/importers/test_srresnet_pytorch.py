"""SRResNet and SRGAN of two PyTorch repositories answer after import what they answered before."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from export.errors import ImportRefused
from export.importers import import_published, read_state_file
from models import SrganConfig, SrresnetConfig
from tests.export.importers.examples import Leftthomas, Lornatang, lively, pixels, state_file, without_counters

LR = pixels() / 255


def assert_equal(answer: Tensor, expected: Tensor) -> None:
    assert answer.shape == expected.shape
    assert (answer - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("steps", [1, 2, 3])
@torch.no_grad()
def test_lornatangs_answers_in_0_to_1_stay_the_same(steps: int) -> None:
    published = lively(Lornatang([2] * steps))
    imported = import_published(state_file(without_counters(published)))
    assert imported.config == SrresnetConfig(2**steps, blocks=2, features=4)
    assert_equal(imported.network(LR), published(LR))


@torch.no_grad()
def test_lornatangs_names_before_2022_are_read_too() -> None:
    published = lively(Lornatang([2, 2]))
    old = {re.sub(r"^conv(\d)", r"conv_block\1", name): value for name, value in without_counters(published).items()}
    assert "conv_block1.0.weight" in old
    assert_equal(import_published(state_file(old)).network(LR), published(LR))


@torch.no_grad()
def test_of_a_training_checkpoint_the_averaged_weights_are_taken(tmp_path: Path) -> None:
    """Written by the very class that makes the averages there, from inside torch.compile's wrapper."""
    trained, averaged = lively(Lornatang([2, 2]), seed=1), lively(Lornatang([2, 2]), seed=2)
    compiled = {f"_orig_mod.{name}": tensor for name, tensor in trained.state_dict().items()}
    average = AveragedModel(averaged).state_dict()
    assert {"n_averaged", "module.conv1.0.weight"} <= average.keys()
    path = tmp_path / "SRResNet_x4.pth.tar"
    checkpoint = {"epoch": 18, "psnr": 27.5, "state_dict": compiled}
    torch.save(checkpoint, path)
    assert_equal(import_published(read_state_file(path)).network(LR), trained(LR))
    torch.save(checkpoint | {"ema_state_dict": average}, path)
    assert_equal(import_published(read_state_file(path)).network(LR), averaged(LR))


@pytest.mark.parametrize("steps", [1, 2, 3])
@torch.no_grad()
def test_leftthomas_network_of_five_blocks_stays_the_same_and_is_a_srgan(steps: int) -> None:
    published = lively(Leftthomas(steps))
    imported = import_published(state_file(without_counters(published), "netG_epoch_4_100.pth"))
    assert imported.config == SrganConfig(2**steps, blocks=5, features=4, conv_bias=True, tanh=True)
    assert not imported.warnings
    assert_equal(imported.network(LR), published(LR))


def test_x3_is_refused() -> None:
    with pytest.raises(ImportRefused, match="for x3, which the paper does not have"):
        import_published(state_file(without_counters(Lornatang([3]))))


@pytest.mark.parametrize(
    ("network", "missing"),
    [(Lornatang([2]), "conv3.weight"), (Lornatang([2]), "conv1.0.weight"), (Leftthomas(1), "block8.1.weight")],
    ids=["no-end", "no-beginning", "no-end-leftthomas"],
)
def test_a_file_without_its_ends_is_refused(network: torch.nn.Module, missing: str) -> None:
    tensors = without_counters(network)
    del tensors[missing]
    with pytest.raises(ImportRefused, match="not all of an SRResNet"):
        import_published(state_file(tensors))


def test_old_and_new_names_in_one_file_are_refused() -> None:
    tensors = without_counters(Lornatang([2]))
    with pytest.raises(ImportRefused, match=r"conv_block3\.bias is there twice"):
        import_published(state_file(tensors | {"conv_block3.bias": torch.zeros(3)}))
