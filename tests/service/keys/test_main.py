"""The command: keys are made, listed without their secrets, and revoked."""

from pathlib import Path

import pytest

from service.errors import Unauthenticated
from service.keys import KeyRing, read_keys
from service.keys.__main__ import main


def call(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> tuple[int, str, str]:
    status = main(["--file", str(path), *arguments])
    out, err = capsys.readouterr()
    return status, out.strip(), err.strip()


def test_a_key_is_made_with_its_grants_and_opens_the_door(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    limits = ["--max-requests", "3", "--pixels-per-minute", "1000", "--class", "jobs", "--model", "a", "--model", "b"]
    status, text, _ = call(capsys, path, "make", "Ada", *limits)
    assert status == 0
    key = KeyRing(path).authenticate(text)
    assert key.name == "Ada"
    assert key.grants.model_dump() == {
        "max_requests": 3,
        "pixels_per_minute": 1000,
        "queue_class": "jobs",
        "models": ("a", "b"),
    }


def test_the_list_shows_all_but_the_secrets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    texts = [call(capsys, path, "make", name)[1] for name in ("Ada", "Brook")]
    _, ids, _ = texts[0].split("_", 2)
    assert call(capsys, path, "revoke", ids)[0] == 0
    status, listed, _ = call(capsys, path, "list")
    assert status == 0
    head, ada, brook = listed.splitlines()
    assert head.split()[:4] == ["id", "name", "created", "revoked"]
    assert ada.split()[:2] == [ids, "Ada"]
    assert ada.split()[3] != "-"
    assert brook.split()[3] == "-"
    for text in texts:
        assert text[len("srk_00000000_") :] not in listed


def test_a_revoked_key_opens_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    text = call(capsys, path, "make", "Ada")[1]
    call(capsys, path, "revoke", next(iter(read_keys(path))))
    with pytest.raises(Unauthenticated):
        KeyRing(path).authenticate(text)


def test_mistakes_are_told_and_leave_the_file_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert call(capsys, path, "revoke", "0123abcd")[0] == 1
    call(capsys, path, "make", "Ada")
    keys = read_keys(path)
    assert call(capsys, path, "revoke", "0123abcd")[0] == 1
    status, _, err = call(capsys, path, "make", "Ada", "--max-requests", "-1")
    assert (status, "max_requests" in err) == (1, True)
    assert read_keys(path) == keys
    path.write_text("nonsense")
    status, _, err = call(capsys, path, "list")
    assert (status, str(path) in err) == (1, True)


def test_without_a_file_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["list"])
    assert "SR_KEYS" in capsys.readouterr().err
