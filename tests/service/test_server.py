"""The process: it does not start with a mistake, and it does not go with a request unanswered."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests import oracles
from tests.conftest import REPOSITORY, Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, pixels

# Hundreds of tiles of 16 pixels: an answer that takes a while on any machine.
SLOW = {"max_tile": 16}
SLOW_PATH = "/upscale?model=blur&scale=2&format=png"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m service`, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=REPOSITORY,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_misspelt_variable_stops_the_start_with_the_right_name() -> None:
    ended = run(SR_MAX_TIEL="5")
    assert ended.returncode == 2
    assert "SR_MAX_TIEL is no setting: did you mean SR_MAX_TILE?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_that_is_not_there_stops_the_start_with_its_path(tmp_path: Path) -> None:
    ended = run("--port", "0", "--store", str(tmp_path / "nowhere"))
    assert ended.returncode == 2
    assert str(tmp_path / "nowhere") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_stops_the_start(oracle_store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--port", str(port), "--store", str(oracle_store))
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_help_names_the_settings() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    assert "--drain-delay-s" in ended.stdout


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_goes_at_once_with_status_0(launch: Launch, sig: signal.Signals) -> None:
    server = launch()
    with server.client() as client:
        client.get("/livez")  # and keeps its idle connection
        assert server.stop(sig) == 0
    assert server.lines("stopped")


def test_everything_it_says_is_json(launch: Launch) -> None:
    server = launch()
    server.stop()
    assert server.lines("stopped")  # all other lines were parsed on the way to this one
    assert server.log.with_suffix(".err").read_text() == ""


def test_after_sigterm_it_is_not_ready_and_still_answers_until_the_delay_is_over(launch: Launch) -> None:
    server = launch(drain_delay_s=3)
    server.process.send_signal(signal.SIGTERM)
    with server.client() as client:
        assert eventually(lambda: client.get("/readyz").status_code == 503, timeout_s=2)
        ready = client.get("/readyz")
        assert (ready.json()["code"], ready.headers["connection"]) == ("draining", "close")
        lr = pixels(5, 5)
        answer = client.post("/upscale?model=nearest&scale=2", content=as_file(lr))
        assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 2))
    assert server.process.wait(20) == 0


def test_a_second_sigterm_skips_the_delay(launch: Launch) -> None:
    server = launch(drain_delay_s=60)
    server.process.send_signal(signal.SIGTERM)
    with server.client() as client:
        assert eventually(lambda: client.get("/readyz").status_code == 503)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    assert time.monotonic() - started < 20


def _gateway(server: LiveServer, halt: threading.Event, content: bytes) -> list[int | str]:
    """Sends one picture after another while the server says that it is ready; what came of each."""
    results: list[int | str] = []
    with server.client() as client:
        while not halt.is_set():
            try:
                results.append(client.post(SLOW_PATH, content=content).status_code)
            except httpx2.TransportError as error:
                results.append(repr(error))
    return results


def test_sigterm_under_load_loses_no_accepted_request(launch: Launch) -> None:
    server = launch(**SLOW, drain_delay_s=60)
    content = as_file(pixels(480, 480))
    halt = threading.Event()
    with ThreadPoolExecutor(6) as pool, server.client() as health:
        senders = [pool.submit(_gateway, server, halt, content) for _ in range(6)]
        assert eventually(lambda: len(server.lines()) > 5, timeout_s=60)
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: health.get("/readyz").status_code == 503)
        halt.set()  # a gateway that has seen the 503 sends no more; what it has sent must be answered
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)  # so the port is closed while their tiles still wait
        results = [result for sender in senders for result in sender.result()]
    assert server.process.wait(60) == 0
    assert set(results) == {200}
    assert len(results) > 6
    assert server.lines("draining")[0]["requests"] > 0, "nothing was in flight: the pictures were too small"


def _let_in(server: LiveServer, content: bytes) -> socket.socket:
    """A connection whose request has been accepted and whose body is being waited for, on a machine of any speed."""
    connection = server.connect(timeout_s=30)
    head = (
        f"POST {SLOW_PATH} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(content)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(64).startswith(b"HTTP/1.1 100")
    return connection


def _rest(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    head, _, body = b"".join(iter(lambda: connection.recv(1 << 16), b"")).partition(b"\r\n\r\n")
    return head, body


def test_what_was_accepted_is_finished_after_the_port_is_closed(launch: Launch) -> None:
    server = launch(drain_delay_s=0)
    lr = pixels(70, 50)
    content = as_file(lr)
    with _let_in(server, content) as connection:
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not _connects(server))
        connection.sendall(content)
        head, body = _rest(connection)
    assert head.startswith(b"HTTP/1.1 200")
    assert np.array_equal(as_pixels(body), oracles.blur(lr, 2))
    assert server.process.wait(30) == 0


def test_what_does_not_end_in_time_is_cut_and_admitted_in_the_status(launch: Launch) -> None:
    server = launch(drain_delay_s=0, drain_timeout_s=1)
    with _let_in(server, as_file(pixels(70, 50))) as connection:
        server.process.send_signal(signal.SIGTERM)
        head, body = _rest(connection)
    assert head.startswith(b"HTTP/1.1 503")
    assert b'"code": "draining"' in body
    assert server.process.wait(40) == 1
    assert server.lines("stopped")[0]["cut_requests"] == 1


def _connects(server: LiveServer) -> bool:
    try:
        server.connect(timeout_s=5).close()
    except ConnectionRefusedError:
        return False
    return True
