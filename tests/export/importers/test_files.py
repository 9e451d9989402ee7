"""Weights files are read as data only: no code in them runs, promised digests hold, wrappers come off."""

import hashlib
import os
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from export.errors import ImportRefused
from export.importers import read_state_file
from tests.export.examples import small_checkpoint

TENSORS = {"a.weight": torch.arange(4.0), "b.bias": torch.zeros(2)}


def saved(path: Path, content: Any) -> Path:  # noqa: ANN401 - whatever a file may hold
    torch.save(content, path)
    return path


def assert_is_tensors(path: Path) -> None:
    found = read_state_file(path).tensors
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    "content",
    [
        TENSORS,
        OrderedDict(TENSORS),
        {"params": TENSORS},
        {"params": {"a.weight": torch.ones(1)}, "params_ema": TENSORS},
        {f"module.{name}": tensor for name, tensor in TENSORS.items()},
        {"params": {f"module.{name}": tensor for name, tensor in TENSORS.items()}},
        {name: tensor.half() for name, tensor in TENSORS.items()},
        {"epoch": 3, "state_dict": {f"_orig_mod.module.{name}": tensor for name, tensor in TENSORS.items()}},
        {"state_dict": {"a.weight": torch.ones(1)}, "ema_state_dict": TENSORS},
        TENSORS | {"b.num_batches_tracked": torch.tensor(7), "n_averaged": torch.tensor(7)},
    ],
    ids=[
        *("bare", "ordered", "params", "averaged-weights-first", "module", "params-module", "half"),
        *("training-checkpoint", "averaged-of-training-first", "counters"),
    ],
)
def test_wrappers_and_prefixes_come_off_and_all_becomes_float32(tmp_path: Path, content: Any) -> None:  # noqa: ANN401
    assert_is_tensors(saved(tmp_path / "a.pt", content))


def test_safetensors_and_old_pickles_are_read_too(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors")
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_is_tensors(tmp_path / "a.safetensors")
    assert_is_tensors(tmp_path / "old.pth")


def test_a_digest_in_the_name_must_be_that_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "edsr.pt", TENSORS)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    right = path.rename(tmp_path / f"edsr_x2-{sha256[:8]}.pt")
    assert read_state_file(right).sha256 == sha256
    wrong = right.rename(tmp_path / "edsr_x2-1bc95232.pt")
    with pytest.raises(
        ImportRefused, match=f"begins with 1bc95232, but it begins with {sha256[:8]}.*Download it again"
    ):
        read_state_file(wrong)


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(witness),)

    with pytest.raises(ImportRefused, match=r"as tensors alone \(weights_only\): it also makes a posix\.mkdir"):
        read_state_file(saved(tmp_path / "attack.pt", {"a": Attack()}))
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(1)], "holds a list"),
        ({}, "no tensors"),
        ({"epoch": 3, "state": TENSORS}, "not plain floating-point tensors: epoch, state"),
        ({"steps": torch.zeros(1, dtype=torch.int64)}, "not plain floating-point tensors: steps"),
        ({"a": torch.tensor([1.0, float("nan")])}, "NaN or infinity in a"),
        ({"a": torch.zeros(1).expand(1 << 40)}, "not plain floating-point tensors: a"),
    ],
    ids=["list", "empty", "training-state", "integers", "nan", "four-terabytes-from-one-number"],
)
def test_what_is_not_named_finite_tensors_is_refused(tmp_path: Path, content: Any, reason: str) -> None:  # noqa: ANN401
    with pytest.raises(ImportRefused, match=reason):
        read_state_file(saved(tmp_path / "a.pt", content))


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_text_and_nothing_at_all_are_refused(tmp_path: Path, name: str) -> None:
    for content in (b"", b"<html>404 Not Found</html>"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImportRefused, match=name):
            read_state_file(tmp_path / name)


def test_a_checkpoint_of_this_project_is_pointed_to_the_right_command(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="python -m export checkpoint"):
        read_state_file(small_checkpoint(tmp_path / "x2.safetensors"))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_damaged_files_are_read_or_refused_and_never_anything_else(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "a.pt"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=zipped)
    whole, chance = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        try:
            read_state_file(path)
        except ImportRefused:
            refused += 1
    assert refused > 100
