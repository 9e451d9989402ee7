"""A rolling restart under load, with the shipped gateway and real services: not one request of a thousand is lost."""

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np

from tests import oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.deploy.conftest import Front, LiveGateway, free_port
from tests.service.pictures import as_file, as_pixels, pixels

REQUESTS = 1000
CLIENTS = 8


class Load:
    """Clients that send pictures one after another until they are told to stop; what came of each."""

    def __init__(self, gateway: LiveGateway) -> None:
        self.outcomes: Counter[str] = Counter()
        self.halt = threading.Event()
        self._gateway = gateway
        self._lock = threading.Lock()

    @property
    def sent(self) -> int:
        return self.outcomes.total()

    def run(self, seed: int) -> None:
        lr = pixels(30, 20 + seed, seed=seed)
        content, expected = as_file(lr), oracles.nearest(lr, 2)
        with self._gateway.client() as client:
            while not self.halt.is_set():
                try:
                    answer = client.post("/upscale?model=nearest&scale=2", content=content)
                    exact = answer.status_code == 200 and np.array_equal(as_pixels(answer.content), expected)
                    outcome = "exact" if exact else f"{answer.status_code} {answer.text[:200]}"
                except httpx2.TransportError as error:
                    outcome = repr(error)
                with self._lock:
                    self.outcomes[outcome] += 1


def roll(server: LiveServer, launch: Launch, gateway: LiveGateway, load: Load, **settings: object) -> None:
    """Stop the replica, start it again at its address, and wait until the gateway sends it requests again."""
    address = f"127.0.0.1:{server.port}"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(90) == 0
    assert not server.lines("stopped")[0]["cut_requests"]
    while_away = load.sent
    assert eventually(lambda: load.sent > while_away + CLIENTS), "no load while the replica was away"
    again = launch(port=server.port, **settings)
    assert eventually(lambda: gateway.listed()[address])
    assert eventually(lambda: any(line["path"] == "/upscale" for line in again.lines()), timeout_s=60)


def test_rolling_both_replicas_loses_not_one_request(launch: Launch, front: Front) -> None:
    settings = {"drain_delay_s": 2}
    servers = [launch(port=free_port(), **settings) for _ in range(2)]
    gateway = front([f"127.0.0.1:{server.port}" for server in servers])
    load = Load(gateway)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load.run, seed) for seed in range(CLIENTS)]
        try:
            assert eventually(lambda: load.sent > 100, timeout_s=60)
            for server in servers:
                roll(server, launch, gateway, load, **settings)
            assert eventually(lambda: load.sent >= REQUESTS, timeout_s=180)
        finally:
            load.halt.set()
        for client in clients:
            client.result()
    assert load.outcomes == {"exact": load.sent}
    assert load.sent >= REQUESTS
