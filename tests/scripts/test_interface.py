"""A change that breaks clients is seen where the history is looked at, and passes only if the changelog says so."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.interface import main
from scripts.references import OPENAPI

CHANGELOG = "# Changelog\n## [Unreleased]\n"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository whose one commit has the interface of today."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "openapi.json").write_text(OPENAPI.read_text())
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)


def change(root: Path, *, remove: str) -> None:
    path = root / "docs" / "openapi.json"
    document: dict[str, Any] = json.loads(path.read_text())
    del document["paths"][remove]
    path.write_text(json.dumps(document))


def test_what_did_not_change_breaks_nobody(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(history, "second")
    assert main(history) == 0
    assert "0 breaking changes" in capsys.readouterr().out


def test_a_path_that_is_gone_is_named_and_stops_it(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(history, remove="/models")
    commit(history, "second")
    assert main(history) == 1
    assert "GET /models is gone" in capsys.readouterr().out


def test_it_passes_when_the_changelog_says_so(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(history, remove="/models")
    (history / "CHANGELOG.md").write_text(f"{CHANGELOG}- **Breaking**: no list of models any more.\n")
    commit(history, "second")
    assert main(history) == 0
    assert "GET /models is gone" in capsys.readouterr().out
    change(history, remove="/degrade")  # that line was for the other one
    commit(history, "third")
    assert main(history) == 1


def test_after_a_release_all_since_then_counts(history: Path) -> None:
    git(history, "tag", "v1.0.0")
    change(history, remove="/models")
    commit(history, "second")
    commit(history, "third")
    assert main(history) == 1


def test_without_a_history_it_says_that_nothing_was_compared(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(history) == 0
    assert "not compared" in capsys.readouterr().out
