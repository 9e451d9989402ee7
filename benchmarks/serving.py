"""A real service for a benchmark: `python -m service` in its own process on a free port of this machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_TIMEOUT_S = 120.0
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Running:
    """A service that was started here; `log` has one JSON object a line, where one was asked for."""

    url: str
    pid: int
    log: Path | None


@contextmanager
def service(url: str | None = None, **settings: str) -> Iterator[httpx2.Client]:
    """A client of the service at `url`, or of one started for the block with `settings` (SR_... without the prefix).

    Raises:
        RuntimeError: the service did not become ready.
    """
    if url is not None:
        with httpx2.Client(base_url=url, timeout=600) as client:
            yield client
        return
    with started(settings) as running, httpx2.Client(base_url=running.url, timeout=600) as client:
        yield client


@contextmanager
def started(settings: Mapping[str, str], *, log: Path | None = None) -> Iterator[Running]:
    """A service started for the block with `settings`, ready. Raises RuntimeError if it does not become so."""
    port = free_port()
    level = "warning" if log is None else "info"
    environment = {**os.environ, "SR_PORT": str(port), "SR_LOG_LEVEL": level, "SR_DRAIN_DELAY_S": "0"}
    environment.update({f"SR_{name.upper()}": value for name, value in settings.items()})
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else None
        command = [sys.executable, "-m", "service"]
        process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=output)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, timeout=60) as client:
            _wait(client, process)
        yield Running(url, process.pid, log)
    finally:
        process.terminate()
        process.wait(timeout=60)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(client: httpx2.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with status {process.returncode} while starting")
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise RuntimeError(f"the service was not ready after {START_TIMEOUT_S:.0f} s")
