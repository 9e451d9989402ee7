"""A real service for a benchmark: `python -m service` in its own process on a free port of this machine."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

START_TIMEOUT_S = 120.0
REPOSITORY = Path(__file__).resolve().parents[1]


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
    port = free_port()
    environment = {**os.environ, "SR_PORT": str(port), "SR_LOG_LEVEL": "warning", "SR_DRAIN_DELAY_S": "0"}
    with tempfile.TemporaryDirectory() as jobs:
        environment["SR_JOBS"] = jobs
        environment.update({f"SR_{name.upper()}": value for name, value in settings.items()})
        process = subprocess.Popen([sys.executable, "-m", "service"], env=environment, cwd=REPOSITORY)
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
                _wait(client, process)
                yield client
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
