"""A client that goes away, or whose time is up: nothing more is run for it. Over real HTTP, through all middleware."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.costs import Network
from service.server import listen, server_config
from service.settings import Settings
from tests.conftest import eventually
from tests.service.pictures import as_file, pixels
from tests.service.scheduling import Watch

PATH = "/upscale?model=nearest&scale=2"


@dataclass
class Held:
    """A service in this process, whose runs can be held and are noted."""

    app: FastAPI
    port: int
    watch: Watch

    @property
    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)

    def begin(self, content: bytes, *headers: str) -> socket.socket:
        """Send a request, and do not wait for its answer."""
        head = [f"POST {PATH} HTTP/1.1", "Host: test", f"Content-Length: {len(content)}", *headers, "", ""]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall("\r\n".join(head).encode() + content)
        return connection


@pytest.fixture
def held(oracle_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    watch = Watch()
    monkeypatch.setattr("service.app.counted_by", lambda metrics: watch)
    settings = Settings(port=0, store=oracle_store, jobs=tmp_path / "jobs", device="cpu", threads=2, max_tile=16)
    with listen(settings) as listener:
        app = create_app(settings)
        server = uvicorn.Server(server_config(app, settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        held = Held(app, listener.getsockname()[1], watch)
        try:
            with held.client as client:
                assert eventually(lambda: _is_ready(client), timeout_s=60)
            watch.batches.clear()
            yield held
        finally:
            watch.release()
            server.should_exit = True
            thread.join(60)


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def test_when_a_client_goes_away_only_the_tiles_under_way_are_finished(held: Held) -> None:
    held.watch.hold()
    connection = held.begin(as_file(pixels(160, 160)))  # a hundred tiles
    assert eventually(lambda: len(held.watch.batches) == 2)  # one on each core
    connection.close()
    assert eventually(lambda: held.app.state.admission.requests == 0)  # it has been noticed, and the place is free
    held.watch.release()
    with held.client as client:
        answer = client.post(PATH, content=as_file(pixels(10, 10)))
    assert answer.status_code == 200
    assert len(held.watch.batches) == 3  # the two that ran, and this one


def test_when_its_time_is_up_a_request_is_answered_and_its_tiles_are_dropped(held: Held) -> None:
    held.watch.hold()
    content = as_file(pixels(160, 160))
    connection = held.begin(content, "X-Request-Timeout-Ms: 2000")
    assert eventually(lambda: len(held.watch.batches) == 2)
    answer = connection.recv(65536).decode()  # though the device is still held
    assert answer.startswith("HTTP/1.1 504 ")
    problem = json.loads(answer.partition("\r\n\r\n")[2])
    assert (problem["code"], problem["limit"]) == ("deadline-exceeded", 2)
    connection.close()
    held.watch.release()
    with held.client as client:
        assert client.post(PATH, content=as_file(pixels(10, 10))).status_code == 200
    assert len(held.watch.batches) == 3


def test_a_body_that_comes_after_the_deadline_is_not_even_decoded(held: Held) -> None:
    content = as_file(pixels(160, 160))
    head = [
        f"POST {PATH} HTTP/1.1",
        "Host: test",
        f"Content-Length: {len(content)}",
        "X-Request-Timeout-Ms: 50",
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", held.port), timeout=60) as slow:
        slow.sendall("\r\n".join(head).encode() + content[:100])
        time.sleep(0.2)
        slow.sendall(content[100:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 504 ")
    assert held.watch.batches == []


def test_a_request_that_cannot_be_in_time_is_refused_at_the_door(held: Held) -> None:
    network = Network.of(held.app.state.registry.get("nearest").graph(2).manifest)
    for way in held.app.state.slots.ways:
        held.app.state.costs.fit(network, way, [(16 * 16, 10.0)])
    with held.client as client:
        refused = client.post(PATH, content=as_file(pixels(160, 160)), headers={"X-Request-Timeout-Ms": "30000"})
        assert (refused.status_code, refused.json()["code"]) == (422, "too-large-for-sync")
        assert refused.json()["limit"] == 30
        assert refused.json()["actual"] == pytest.approx(500, rel=0.01)  # a hundred tiles on two cores
        assert refused.headers["link"] == '</jobs>; rel="related"'
        wrong = client.post(PATH, content=as_file(pixels(5, 5)), headers={"X-Request-Timeout-Ms": "soon"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad-parameter")
    assert held.watch.batches == []


def test_who_would_wait_too_long_is_told_for_how_long(held: Held) -> None:
    held.watch.hold()
    connections = [held.begin(as_file(pixels(160, 160, seed=seed))) for seed in range(3)]
    assert eventually(lambda: held.app.state.scheduler.queued()["interactive"].tiles == 298)
    with held.client as client:
        held.app.state.estimator._max_queue_s = 1e-6
        refused = client.post(PATH, content=as_file(pixels(160, 160)))
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) == refused.json()["retry_after_s"] >= 1
        assert refused.json()["actual"] > refused.json()["limit"]
    for connection in connections:
        connection.close()
