"""A service that wants keys: the client sends one, and its refusals are told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.keys.__main__ import main
from srserve_client.problems import ModelNotAllowed, QuotaExceeded, Unauthenticated
from tests.client.cli.command import srserve
from tests.client.conftest import Connect
from tests.conftest import Launch, LiveServer
from tests.service.pictures import as_file, pixels

LR = as_file(pixels(9, 7))


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def made(*limits: str) -> str:
        assert main(["--file", str(tmp_path / "keys.json"), "make", "Ada", *limits]) == 0
        return capsys.readouterr().out.strip()

    return made


@pytest.fixture
def guarded(launch: Launch, make: Callable[..., str], tmp_path: Path) -> Callable[[], LiveServer]:
    """Starts a service that knows the keys made so far."""
    make()
    return lambda: launch(keys=tmp_path / "keys.json")


def test_a_key_opens_what_it_allows(
    connect: Connect, guarded: Callable[[], LiveServer], make: Callable[..., str]
) -> None:
    key = make("--model", "nearest")
    with connect(guarded().url, api_key=key) as client:
        assert client.upscale(LR, model="nearest", scale=2).model == "nearest"
        with pytest.raises(ModelNotAllowed) as raised:
            client.upscale(LR, model="blur", scale=2)
    assert (raised.value.status, raised.value.members["available"]) == (403, ["nearest"])


def test_without_one_or_with_a_wrong_one_nothing_is_served(connect: Connect, guarded: Callable[[], LiveServer]) -> None:
    url = guarded().url
    for key in (None, "srk_wrong"):
        with connect(url, api_key=key) as client, pytest.raises(Unauthenticated):
            client.models()


def test_a_used_up_quota_is_told_with_when_it_allows_more(
    connect: Connect, guarded: Callable[[], LiveServer], make: Callable[..., str]
) -> None:
    key = make("--pixels-per-minute", "63")
    with connect(guarded().url, api_key=key, retries=0) as client:
        client.upscale(pixels(20, 20), model="nearest", scale=2)
        with pytest.raises(QuotaExceeded) as raised:
            client.upscale(LR, model="nearest", scale=2)
    assert raised.value.retry_after_s is not None
    assert raised.value.retry_after_s > 60


def test_for_the_command_a_missing_key_is_wrong_use(guarded: Callable[[], LiveServer], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(LR)
    ran = srserve("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", "nearest", "-s", "2", url=guarded().url)
    assert ran.status == 2
    assert "A key is needed" in ran.err
