"""Clients that only take up room: thousands of idle connections, and uploads that never come to an end."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from tests import oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, pixels

IDLE = 10_000
PATH = "/upscale?model=nearest&scale=2"
BYTES_PER_CONNECTION = 32 * 1024


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """Lets this process open so many, or skips."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"needs {count} open files, and the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def serves(server: LiveServer) -> bool:
    lr = pixels(9, 9)
    with server.client() as client:
        answer = client.post(PATH, content=as_file(lr))
        return answer.status_code == 200 and np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 2))


def test_ten_thousand_idle_connections_keep_nobody_out_and_go(launch: Launch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))  # as a shell would start it
    try:
        server = launch(head_timeout_s=20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert serves(server)
    before = server.resident_bytes()
    process = psutil.Process(server.process.pid)
    with open_files(IDLE + 500), ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(server.connect(timeout_s=30))
        assert eventually(lambda: process.num_fds() > IDLE)
        assert serves(server)
        assert server.resident_bytes() - before < IDLE * BYTES_PER_CONNECTION
        assert eventually(lambda: process.num_fds() < IDLE / 100, timeout_s=90)  # none has sent a head in time
    assert serves(server)


def test_uploads_that_never_end_are_answered_and_leave_their_places(launch: Launch) -> None:
    server = launch(max_requests=8, body_timeout_s=2)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx".encode()
    with ExitStack() as slow:
        connections = [slow.enter_context(server.connect(timeout_s=30)) for _ in range(8)]
        for connection in connections:
            connection.sendall(head)
        with server.client() as client:
            assert eventually(lambda: client.post(PATH, content=b"x").status_code == 429)
        assert eventually(lambda: serves(server), timeout_s=60)
        for connection in connections:
            assert connection.recv(1000).startswith(b"HTTP/1.1 408")
