"""Fixtures: the gateway as it is shipped, in front of replicas on loopback ports."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.conftest import REPOSITORY, eventually
from tests.deploy.replica import Replica

MISSING = [name for name in ("nginx", "curl", "getent") if shutil.which(name) is None]


@dataclass
class LiveGateway:
    """`deploy/gateway/gateway.sh` and its nginx."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=70.0, trust_env=False)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def listed(self) -> dict[str, bool]:
        """Each replica's address, and whether requests go there."""
        lines = (self.folder / "replicas.conf").read_text().splitlines()
        servers = [line.strip().rstrip(";").split() for line in lines if line.strip().startswith("server ")]
        return {words[1]: words[-1] != "down" for words in servers}


Front = Callable[..., LiveGateway]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Starts gateways, `front([address, ...], poll_s=60)`, and stops them after the test."""
    if MISSING:
        pytest.skip(f"the gateway needs {' and '.join(MISSING)}")
    gateways: list[LiveGateway] = []

    def start(addresses: list[str], *, poll_s: float = 0.2, **settings: object) -> LiveGateway:
        chosen = {"REPLICAS": " ".join(addresses), "POLL_S": poll_s, **settings}
        gateway = _start(chosen, folder=tmp_path / f"gateway{len(gateways)}")
        gateways.append(gateway)
        return gateway

    yield start
    for gateway in gateways:
        _stop(gateway)


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    """Two of them."""
    pair = [Replica(), Replica()]
    yield pair
    for replica in pair:
        replica.listener.close()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _start(chosen: dict[str, object], *, folder: Path) -> LiveGateway:
    port = free_port()
    folder.mkdir()
    environment = os.environ | {f"GATEWAY_{name}": str(value) for name, value in chosen.items()}
    environment |= {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_RUN": str(folder),
        "GATEWAY_DATA": str(folder / "data"),
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(REPOSITORY / "deploy" / "gateway" / "gateway.sh")],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Under nohup SIGHUP is ignored, and a shell cannot trap what was ignored when it started.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
    gateway = LiveGateway(process, port, folder)

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            gateway.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    try:
        assert eventually(listens)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return gateway


def _stop(gateway: LiveGateway) -> None:
    gateway.process.terminate()
    try:
        status = gateway.process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(gateway.process.pid, signal.SIGKILL)
        raise
    assert status == 0, (gateway.folder / "log").read_text()
