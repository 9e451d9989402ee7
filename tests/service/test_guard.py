"""Who has a key gets what it allows, who has none gets 401, and no key is ever written down."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from service.keys.__main__ import main
from service.settings import Settings, explain, is_loopback, load_settings
from service.turns import WEIGHTS
from tests import oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, pixels
from tests.service.test_exposition import sample, scrape

PATH = "/upscale?model=nearest&scale=2"
Maker = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Maker:
    """Makes a key in the file that `guarded` reads; its text."""

    def made(name: str, *limits: str) -> str:
        assert main(["--file", str(tmp_path / "keys.json"), "make", name, *limits]) == 0
        return capsys.readouterr().out.strip()

    return made


@pytest.fixture
def guarded(launch: Launch, make: Maker, tmp_path: Path) -> Callable[..., LiveServer]:
    """Starts a server that reads the key file, in which somebody has a key already."""
    make("somebody")
    return lambda **settings: launch(keys=tmp_path / "keys.json", **settings)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_with_a_key_a_picture_comes_back_for_its_holder_alone(guarded: Callable[..., LiveServer], make: Maker) -> None:
    text, lr = make("Ada"), pixels(6, 5)
    with guarded().client() as client:
        answer = client.post(PATH, content=as_file(lr), headers=bearer(text))
    assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 2))
    assert answer.headers["cache-control"].startswith("private")
    assert "Authorization" in answer.headers["vary"]


NO_KEYS: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer"},
    bearer("srk_00000000_" + "x" * 43),
    bearer("x" * 5000),
    {"Authorization": "Basic dXNlcjpwYXNz"},
    {"X-API-Key": "srk_00000000_" + "x" * 43},
]


def test_without_one_every_working_path_is_a_401(guarded: Callable[..., LiveServer]) -> None:
    with guarded().client() as client:
        for headers in NO_KEYS:
            for method, path in (("POST", PATH), ("GET", "/models"), ("GET", "/models/nearest"), ("GET", "/nowhere")):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
                assert answer.headers["www-authenticate"] == "Bearer"
            for path in ("/livez", "/readyz", "/", "/openapi.json", "/problems", "/problems/unauthenticated"):
                assert client.get(path, headers=headers).status_code == 200, path


def test_a_refusal_comes_before_the_body(guarded: Callable[..., LiveServer]) -> None:
    server = guarded()
    with server.connect() as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def test_a_key_names_only_the_models_it_may(guarded: Callable[..., LiveServer], make: Maker) -> None:
    text = make("Ada", "--model", "blur")
    with guarded().client() as client:
        allowed = client.post("/upscale?model=blur&scale=2", content=as_file(pixels(4, 4)), headers=bearer(text))
        refused = client.post(PATH, content=as_file(pixels(4, 4)), headers=bearer(text))
        twice = client.post("/upscale?model=blur&model=nearest&scale=2", content=b"x", headers=bearer(text))
    assert allowed.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (403, "model-not-allowed")
    assert refused.json()["available"] == ["blur"]
    assert twice.status_code == 403


def test_a_key_has_so_many_requests_at_once_and_others_are_not_concerned(
    guarded: Callable[..., LiveServer], make: Maker
) -> None:
    greedy, modest = make("Ada", "--max-requests", "1"), make("Brook")
    server = guarded()
    lines = [f"POST {PATH} HTTP/1.1", "Host: x", f"Authorization: Bearer {greedy}", "Content-Length: 9"]
    head = "\r\n".join([*lines, "Expect: 100-continue", "", ""])
    with server.connect() as first, server.client() as client:
        first.sendall(head.encode())
        assert first.recv(100).startswith(b"HTTP/1.1 100")
        second = client.post(PATH, content=as_file(pixels(4, 4)), headers=bearer(greedy))
        assert (second.status_code, second.json()["code"], second.headers["retry-after"]) == (
            429,
            "quota-exceeded",
            "1",
        )
        assert client.post(PATH, content=as_file(pixels(4, 4)), headers=bearer(modest)).status_code == 200
        first.close()

        def again() -> bool:
            return client.post(PATH, content=as_file(pixels(4, 4)), headers=bearer(greedy)).status_code == 200

        assert eventually(again)


def test_a_key_has_so_many_pixels_a_minute(guarded: Callable[..., LiveServer], make: Maker) -> None:
    text = make("Ada", "--pixels-per-minute", "100")
    with guarded().client() as client:
        first = client.post(PATH, content=as_file(pixels(20, 20)), headers=bearer(text))
        second = client.post(PATH, content=as_file(pixels(20, 20)), headers=bearer(text))
    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (429, "quota-exceeded")
    assert 100 < int(second.headers["retry-after"]) <= 180
    assert second.json()["limit"] == 100


@pytest.mark.parametrize(
    ("chosen", "path"),
    [
        ("jobs", "/upscale?model=blur&scale=2"),
        ("frames", "/upscale?model=blur&scale=2"),
        ("jobs", "/degrade?model=degrading"),
    ],
)
def test_a_keys_class_is_where_its_pictures_wait(
    guarded: Callable[..., LiveServer], make: Maker, chosen: str, path: str
) -> None:
    text, content = make("Ada", "--class", chosen), as_file(pixels(900, 900))
    server = guarded(metrics_port=0, max_tile=32)
    seen: set[str] = set()

    def waits() -> bool:
        found = scrape(server)
        seen.update(name for name in WEIGHTS if sample(found, "sr_queue_tiles", **{"class": name}))
        return bool(seen)

    with server.client() as client, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.post, path, content=content, headers=bearer(text))
        assert eventually(lambda: waits() or sent.done())
        assert sent.result().status_code == 200
    assert seen == {chosen}


def test_a_job_is_on_its_keys_account_and_its_idempotency_key_its_own(
    guarded: Callable[..., LiveServer], make: Maker
) -> None:
    first, second = make("Ada", "--pixels-per-minute", "100"), make("Brook")
    content, path = as_file(pixels(20, 20)), "/jobs?model=nearest&scale=2"
    with guarded().client() as client:
        mine = client.post(path, content=content, headers=bearer(first) | {"Idempotency-Key": "k"})
        assert mine.status_code == 202, mine.text
        again = client.post(path, content=content, headers=bearer(first) | {"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["code"]) == (429, "quota-exceeded")
        theirs = client.post(path, content=content, headers=bearer(second) | {"Idempotency-Key": "k"})
        repeated = client.post(path, content=content, headers=bearer(second) | {"Idempotency-Key": "k"})
    assert theirs.json()["id"] != mine.json()["id"]
    assert repeated.json()["id"] == theirs.json()["id"]


def test_keys_come_and_go_while_it_runs_and_a_broken_file_changes_nothing(
    guarded: Callable[..., LiveServer], make: Maker, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    first = make("Ada")
    server = guarded()

    def status(text: str) -> int:
        with server.client() as client:
            return client.get("/models", headers=bearer(text)).status_code

    late = make("Brook")
    assert eventually(lambda: status(late) == 200)
    assert main(["--file", str(path), "revoke", first.split("_")[1]]) == 0
    assert eventually(lambda: status(first) == 401)
    path.write_text("nonsense")
    assert eventually(
        lambda: (
            (status(late), bool(server.lines("the key file is not read; the keys read last stay in force")))
            == (200, True)
        )
    )


def test_the_log_names_the_keys_id_and_never_the_key(guarded: Callable[..., LiveServer], make: Maker) -> None:
    text = make("Ada")
    server = guarded(log_level="debug")
    secret = text[len("srk_00000000_") :]
    with server.client() as client:
        client.post(PATH, content=as_file(pixels(4, 4)), headers=bearer(text))
        client.post(PATH + "&model=" + "y" * 200, content=b"x", headers=bearer(text))
        client.get("/models", headers=bearer(text + "x"))
        client.get("/models", headers={"Authorization": f"Basic {text}"})
    with server.connect() as broken:
        broken.sendall(f"GET /models HTTP/1.1\r\nAuthorization: Bearer {text}\r\nbroken header {text}\r\n\r\n".encode())
        answer = broken.recv(1000)
    assert server.stop() == 0
    written = server.log.read_text() + server.log.with_suffix(".err").read_text() + answer.decode()
    assert secret not in written
    known: list[dict[str, Any]] = [line for line in server.lines() if line.get("key")]
    assert {line["key"] for line in known} == {text.split("_")[1]}
    assert len(known) == 2


# --- the choice


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_where_others_can_reach_it_the_choice_must_be_made(host: str) -> None:
    with pytest.raises(ValueError, match="keys must be chosen") as caught:
        load_settings(["--host", host])
    assert "python -m service.keys" in explain(caught.value)  # type: ignore[arg-type]
    assert load_settings(["--host", host, "--keys", "off"]).keys == "off"
    assert load_settings(["--host", host, "--keys", "keys.json"]).keys == Path("keys.json")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_alone_no_key_is_needed(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).keys is None


def test_a_key_file_that_is_not_there_stops_the_start(launch: Launch, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"cannot be read[\s\S]*python -m service.keys make"):
        launch(keys=tmp_path / "nowhere.json")


def test_without_keys_answers_are_as_they_were(client: httpx2.Client) -> None:
    answer = client.get("/models")
    assert answer.status_code == 200
    assert "cache-control" not in answer.headers
