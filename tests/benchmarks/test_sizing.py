"""Each graph of the store gets a row, with a speed and a memory that a process can have."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.sizing import main


def test_each_graph_gets_a_row(
    oracle_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(oracle_store / "blur", tmp_path / "blur")
    monkeypatch.setenv("SR_STORE", str(tmp_path))
    assert main(["--size", "64x48", "--rounds", "2"]) == 0
    _, _, row = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"\| `blur` x2 \| [\d,]+ \| ([\d,]+) \| ([\d.]+) s \| ([\d,]+) MB \|", row)
    assert found, row
    assert int(found[1].replace(",", "")) > 0
    assert 50 < int(found[3].replace(",", "")) < 2000
