"""Accepted jobs survive the process: killed, stopped in order, or refused a start."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx2
import numpy as np

from tests import oracles
from tests.conftest import REPOSITORY, Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, pixels
from tests.service.routes.test_jobs import document, events_of, hand_in

SLOW = {"max_tile": 16, "job_workers": 1}


def kill(server: LiveServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def state(client: httpx2.Client, path: str) -> str:
    return str(document(client.get(path))["state"])


def _succeeded(client: httpx2.Client, path: str) -> bool:
    return state(client, path) == "succeeded"


def test_what_was_accepted_is_done_after_a_kill(launch: Launch, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    large, small = pixels(900, 900), pixels(20, 30)
    server = launch(**SLOW, jobs=jobs)
    with server.client() as client:
        paths = [hand_in(client, as_file(lr), model="blur").headers["location"] for lr in (large, small)]
        key = {"Idempotency-Key": "k"}
        paths.append(hand_in(client, as_file(small), headers=key).headers["location"])
        assert eventually(lambda: state(client, paths[0]) == "running")
        time.sleep(0.2)
        kill(server)
    again = launch(**SLOW, jobs=jobs)
    with again.client() as client:
        for path, lr in zip(paths[:2], (large, small), strict=True):
            assert eventually(partial(_succeeded, client, path), timeout_s=120)
            assert np.array_equal(as_pixels(client.get(f"{path}/result").content), oracles.blur(lr, 2))
        assert hand_in(client, as_file(small), headers=key).headers["location"] == paths[2]
        assert document(client.get(paths[0]))["started_at"] <= document(client.get(paths[1]))["started_at"]


def test_killed_in_the_middle_of_an_upload_it_keeps_nothing(launch: Launch, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    server = launch(jobs=jobs)
    halt = threading.Event()

    def trickle() -> None:
        def chunks() -> Iterator[bytes]:
            yield b"\x89PNG"
            halt.wait(30)

        with server.client() as client, suppress(httpx2.TransportError):
            client.post("/jobs?model=nearest&scale=2", content=chunks())

    sender = threading.Thread(target=trickle)
    sender.start()
    assert eventually(lambda: any(jobs.glob("incoming/*/*/input")))
    kill(server)
    halt.set()
    sender.join()
    launch(jobs=jobs)
    assert eventually(lambda: not any(jobs.glob("incoming/*/*/input")))


def test_a_stop_interrupts_jobs_ends_their_streams_and_the_next_start_goes_on(launch: Launch, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    lr = pixels(900, 900)
    server = launch(**SLOW, jobs=jobs, drain_delay_s=3)
    with server.client() as client, server.client() as other:
        path = hand_in(client, as_file(lr), model="blur").headers["location"]
        assert eventually(lambda: state(client, path) == "running")
        heard: list[object] = []
        listener = threading.Thread(target=lambda: heard.extend(events_of(other, f"{path}/events")))
        listener.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        listener.join(20)  # it ends in the delay, before anything is cut
        assert not listener.is_alive()
        assert heard
        assert state(client, path) == "running"
    began = time.monotonic()
    assert server.process.wait(40) == 0
    assert time.monotonic() - began < 20
    again = launch(**SLOW, jobs=jobs)
    with again.client() as client:
        assert eventually(lambda: state(client, path) == "succeeded", timeout_s=120)
        assert np.array_equal(as_pixels(client.get(f"{path}/result").content), oracles.blur(lr, 2))


def test_replicas_that_share_a_folder_share_the_jobs(launch: Launch, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    large = [pixels(900, 900, seed=seed) for seed in range(2)]
    first, second = launch(**SLOW, jobs=jobs), launch(**SLOW, jobs=jobs)
    with first.client() as a, second.client() as b:
        paths = [hand_in(a, as_file(lr), model="blur").headers["location"] for lr in large]
        assert eventually(lambda: {state(b, path) for path in paths} == {"running"})  # one in each process
        waiting = hand_in(b).headers["location"]
        assert state(a, waiting) == "queued"
        kill(first)
        for path, lr in zip(paths, large, strict=True):
            assert eventually(partial(_succeeded, b, path), timeout_s=120)
            assert np.array_equal(as_pixels(b.get(f"{path}/result").content), oracles.blur(lr, 2))
        assert eventually(partial(_succeeded, b, waiting))


def test_a_folder_that_cannot_be_used_stops_the_start(oracle_store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "service",
            "--port",
            "0",
            "--store",
            str(oracle_store),
            "--jobs",
            str(tmp_path / "file"),
        ],
        cwd=REPOSITORY,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert f"{tmp_path / 'file'}: the jobs' folder cannot be used" in ended.stderr
    assert "SR_JOBS" in ended.stderr
    assert "Traceback" not in ended.stderr
