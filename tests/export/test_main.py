"""`python -m export` as a user meets it: what it prints, what it leaves, and its exit codes."""

from pathlib import Path

import pytest
import torch

from export.__main__ import main
from service.manifest import read_manifest
from tests.export.examples import small_config, small_edsr
from tests.export.importers.examples import official


def test_a_published_file_becomes_a_served_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, store = tmp_path / "edsr.pt", tmp_path / "store"
    torch.save(official(small_edsr(small_config(3, blocks=1))), file)
    arguments = ["import", str(file), "--model", "mine", "--scale", "3", "--residual-scale", "1", "--licence", "MIT"]
    assert main([*arguments, "--store", str(store)]) == 0
    printed = capsys.readouterr()
    assert f"{store}/mine/x3.onnx" in printed.out
    assert "halo" in printed.out
    facts = read_manifest(store / "mine" / "x3.onnx")
    assert (facts.licence, facts.sources) == ("MIT", ("edsr.pt (MIT)",))


def test_a_refused_file_is_explained_on_stderr_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "other.pt", tmp_path / "store"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    assert main(["import", str(file), "--model", "mine", "--store", str(store)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("export failed: other.pt: of no known layout (EDSR of EDSR-PyTorch; ")
    assert printed.out == ""
    assert not store.exists()


@pytest.mark.parametrize(
    "arguments",
    [["checkpoint", "missing.safetensors", "--model", "a"], ["import", "missing.pt", "--model", "a"], ["store"]],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_file_is_exit_code_1_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main([*arguments, "--store", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("export failed: ")
    assert "missing" in error or "nowhere" in error


@pytest.mark.parametrize(
    "arguments", [[], ["checkpoint", "a.safetensors"], ["import", "a.pt", "--model", "a", "--scale", "x"]]
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m export" in capsys.readouterr().err
