"""The running service knows keys as they are made and revoked."""

from pathlib import Path

import pytest

from service.errors import Unauthenticated
from service.keys import ring
from service.keys.__main__ import main
from service.keys.ring import KeyRing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def made(path: Path, capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert main(["--file", str(path), "make", name]) == 0
    return capsys.readouterr().out.strip()


def test_a_new_key_is_known_at_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(path, capsys, "Ada")
    keys = KeyRing(path)
    assert keys.authenticate(made(path, capsys, "Grace")).name == "Grace"


def test_a_revoked_key_is_refused_when_the_file_is_looked_at_again(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "LOOK_AGAIN_S", 0.0)
    text = made(path, capsys, "Ada")
    keys = KeyRing(path)
    key = keys.authenticate(text)
    assert main(["--file", str(path), "revoke", key.id]) == 0
    with pytest.raises(Unauthenticated, match="unknown or revoked"):
        keys.authenticate(text)
