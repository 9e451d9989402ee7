"""Fixtures for tests of the running service: a store of oracle graphs, and real servers on loopback ports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from tests import oracle_kinds, oracles

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = [
    *("blocks", "blur", "clip", "degrading", "degrading-once", "fixed", "nearest", "oriented", "poison", "rough"),
]
BLOCK_SIDE = 4  # of the model blocks
START_TIMEOUT_S = 60.0  # other work may share the machine
STOP_TIMEOUT_S = 60.0


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SR_JOBS", str(tmp_path_factory.getbasetemp() / "jobs" / uuid.uuid4().hex))


@pytest.fixture(scope="session")
def oracle_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of MODELS.

    nearest (x2, x3, x4, 16 bits too), blur (x2), rough (blur whose halo is too small to be exact), poison (x2: fails
    on pixels of the value POISON). From tests/oracle_kinds.py: clip and oriented (x2, 16 bits too), blocks and fixed
    (x2), degrading (x3, 16 bits too, on a grid of 2 LR pixels), degrading-once (x2).
    """
    store = oracles.make_store(tmp_path_factory.mktemp("store"))
    oracles.save_graph(store, "poison", 2, oracles.poison_graph(2))
    rough = oracles.blur_graph(2)
    facts = oracles.get_manifest(rough).model_copy(update={"halo": 0})
    oracles.save_graph(store, "rough", 2, oracles.set_manifest(rough, facts))
    for proto in (
        *(oracle_kinds.clip_graph(2), oracle_kinds.clip_graph(2, "float32")),
        *(oracle_kinds.oriented_graph(2), oracle_kinds.oriented_graph(2, "float32")),
        *(oracle_kinds.blocks_graph(2, BLOCK_SIDE), oracle_kinds.fixed_graph(2), oracle_kinds.degrading_once_graph(2)),
        oracle_kinds.degrading_graph(3, multiple=2),
        oracle_kinds.degrading_graph(3, multiple=2, pixels="float32"),
    ):
        served = oracles.get_manifest(proto)
        oracles.save_graph(store, served.model, served.scale, proto)
    return store


@dataclass
class LiveServer:
    """`python -m service` in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self) -> httpx2.Client:
        """A client of this server; the caller closes it."""
        return httpx2.Client(base_url=self.url, timeout=60.0, trust_env=False)

    def connect(self, timeout_s: float = 20.0) -> socket.socket:
        """A bare connection to this server; the caller closes it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def peak_bytes(self) -> int:
        """The most that was ever resident; on Linux only."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def lines(self, event: str = "request") -> list[dict[str, Any]]:
        """The lines logged so far for that event. All of stdout is JSON; ONNX Runtime's own messages go to stderr."""
        complete = self.log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in complete.splitlines()]
        return [line for line in lines if line["event"] == event]

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to go; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(STOP_TIMEOUT_S)


Launch = Callable[..., LiveServer]


@pytest.fixture
def launch(oracle_store: Path, tmp_path: Path) -> Iterator[Launch]:
    """Starts servers with the settings given, `launch(max_requests=2)`, and stops them after the test."""
    servers: list[LiveServer] = []

    def start(**settings: object) -> LiveServer:
        server = _start(oracle_store, tmp_path / f"server{len(servers)}.log", settings)
        servers.append(server)
        return server

    yield start
    for server in servers:
        _end(server)


@pytest.fixture(scope="session")
def live_server(oracle_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server with the default limits for all tests that leave it as it is; tiles are at most 64 pixels."""
    server = _start(oracle_store, tmp_path_factory.mktemp("server") / "server.log", {"max_tile": 64})
    yield server
    assert server.process.poll() is None, "the server died under the tests"
    _end(server)


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[httpx2.Client]:
    """A client of `live_server`."""
    with live_server.client() as client:
        yield client


def eventually(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> bool:
    """Whether `condition` becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _start(store: Path, log: Path, settings: dict[str, object]) -> LiveServer:
    fixed = {"port": 0, "store": store, "jobs": log.with_suffix(".jobs"), "threads": 1, "drain_delay_s": 0}
    chosen = {**fixed, "device": "cpu", **settings}
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("SR_")}
    environment |= {f"SR_{name.upper()}": str(value) for name, value in chosen.items()}
    with log.open("wb") as output, log.with_suffix(".err").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "service"],
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=errors,
        )
    server = LiveServer(process, "", log)
    try:
        server.url = _url(server)
        with server.client() as client:
            assert eventually(lambda: client.get("/readyz").status_code == 200, timeout_s=START_TIMEOUT_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


def _url(server: LiveServer) -> str:
    def has_ended_or_listens() -> bool:
        return server.process.poll() is not None or '"listening"' in server.log.read_text()

    assert eventually(has_ended_or_listens, timeout_s=START_TIMEOUT_S), "the server does not listen"
    assert server.process.poll() is None, server.log.with_suffix(".err").read_text()
    return str(server.lines("listening")[0]["url"])


def _end(server: LiveServer) -> None:
    try:
        server.stop()
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise
