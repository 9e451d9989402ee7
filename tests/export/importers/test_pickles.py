"""A pickle of more than tensors is refused with a cure, and the cure works as printed."""

import hashlib
import os
import pickle
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from export.errors import ImportRefused
from export.importers import import_published, read_state_file
from models import L2hConfig
from models.degradation import L2h
from tests.export.importers.examples import lively, pixels

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = L2hConfig(features=4, narrow_features=4, head_features=4, blocks=1, narrow_blocks=1)


def made() -> L2h:
    return lively(CONFIG.build())


def refusal(path: Path) -> str:
    with pytest.raises(ImportRefused) as refused:
        read_state_file(path)
    return str(refused.value)


def run_the_cure(message: str, *, cwd: Path) -> Path:
    """Runs the command that the message prints, in a shell, and gives the file that it says to import."""
    command = re.search(r"run\n    (python -c .*)\nand import (.*)$", message, re.DOTALL)
    assert command is not None, message
    path = f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["/bin/sh", "-c", command[1]], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Path(command[2])


@pytest.mark.parametrize(
    "content",
    [made(), {"state_dict": made().state_dict(), "optimizer": CONFIG}],
    ids=["a-whole-network", "training-state-with-an-object"],
)
@torch.no_grad()
def test_whoever_trusts_the_file_can_convert_it_with_the_printed_command(tmp_path: Path, content: Any) -> None:  # noqa: ANN401
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    path = folder / "model-0123abcd.pkl"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    path = path.rename(folder / "model.pkl")
    message = refusal(path)
    assert re.search(r"it also makes a models\.degradation\.L2h", message)
    assert "Loading a pickle runs code" in message
    converted = run_the_cure(message, cwd=tmp_path)
    assert converted == folder / "model.safetensors"
    imported = import_published(read_state_file(converted))
    assert torch.equal(imported.network(pixels() / 255), made()(pixels() / 255))


def test_a_plain_pickle_of_tensors_has_the_same_cure(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"layers_in.weight": torch.zeros(1)}, protocol=4))
    assert "damaged, or an unusual pickle. Loading a pickle runs code" in refusal(path)


def test_a_digest_in_the_name_does_not_stay_in_the_converted_files_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    torch.save(made(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path = path.rename(tmp_path / f"model-{sha256[:8]}.pkl")
    assert refusal(path).endswith(f"and import {tmp_path / 'model.safetensors'}")


def test_the_oldest_format_has_the_same_cure(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "storages")
    assert "oldest format, a .tar" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"PK\x03\x04 no more"], ids=repr)
def test_what_is_no_pickle_has_no_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    message = refusal(path)
    assert "damaged, or no weights file" in message
    assert "python" not in message
