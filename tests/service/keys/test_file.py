"""The key file holds no secret, survives whoever writes at once, and says what is wrong with it."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.keys.file import Grants, Key, KeyFileError, change_keys, read_keys, revoked
from service.keys.secret import digest_of, matches, new_key, parse

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def made(name: str = "a") -> tuple[str, Key]:
    secret = new_key()
    return secret.text, Key(id=secret.id, name=name, sha256=secret.digest, created=NOW)


def test_a_new_key_is_recognised_and_nothing_near_it(tmp_path: Path) -> None:
    text, key = made()
    parsed = parse(text)
    assert parsed is not None
    assert parsed[0] == key.id
    assert matches(parsed[1], key.sha256)
    assert not matches(parsed[1][:-1] + ("a" if parsed[1][-1] != "a" else "b"), key.sha256)
    assert not matches(parsed[1], None)
    assert not matches("", None)


@pytest.mark.parametrize(
    "text", ["", "srk_", "srk_0_x", "x" * 10_000, "srk_0123abcd_" + "x" * 42, "SRK_0123abcd_" + "x" * 43]
)
def test_what_does_not_look_like_a_key_is_none(text: str) -> None:
    assert parse(text) is None


def test_two_keys_are_never_the_same() -> None:
    assert len({new_key().text for _ in range(1000)}) == 1000


def test_the_file_holds_digests_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"
    text, key = made()
    with change_keys(path) as keys:
        keys[key.id] = key
    assert read_keys(path) == {key.id: key}
    assert text.rpartition("_")[2] not in path.read_text()
    assert digest_of(text[len("srk_00000000_") :]) in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writers_at_once_lose_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def add(index: int) -> None:
        _, key = made(f"holder{index}")
        with change_keys(path) as keys:
            keys[key.id] = key

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert {key.name for key in read_keys(path).values()} == {f"holder{index}" for index in range(40)}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, key = made()
    with change_keys(path) as keys:
        keys[key.id] = key

    def spoil() -> None:
        with change_keys(path) as keys:
            keys.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spoil()
    assert read_keys(path) == {key.id: key}


def test_a_key_is_revoked_once() -> None:
    first = revoked(made()[1], at=NOW)
    assert revoked(first, at=NOW + timedelta(days=1)).revoked == NOW


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("nonsense", "Invalid JSON"),
        ('{"version": 2}', "version"),
        ('{"keys": [{"id": "x"}]}', "keys.0.id"),
        ('{"keys": [], "kees": []}', "kees"),
    ],
)
def test_a_damaged_file_is_named_with_its_field(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(KeyFileError) as caught:
        read_keys(path)
    assert str(path) in str(caught.value)
    assert fault in str(caught.value)
    assert "Cure" in str(caught.value)


def test_two_keys_of_one_id_are_refused(tmp_path: Path) -> None:
    _, key = made()
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [json.loads(key.model_dump_json())] * 2}))
    with pytest.raises(KeyFileError, match="one id"):
        read_keys(path)


def test_grants_are_a_sane_number_of_requests_and_all_models_unless_chosen() -> None:
    assert Grants() == Grants(max_requests=8, pixels_per_minute=0, queue_class="interactive", models=None)
