"""examples/gateways/nginx.conf in a real nginx: pictures, jobs, clips and the page under a path prefix."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from srserve_client import Client
from tests import oracles
from tests.conftest import REPOSITORY, LiveServer, eventually
from tests.service.pictures import as_file, pixels

LR = pixels(20, 16)
CONF = (REPOSITORY / "examples" / "gateways" / "nginx.conf").read_text()


@pytest.fixture(scope="module")
def gateway(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service behind nginx, its prefix included."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conf = CONF.replace(":8080", f":{port}").replace(":8000", f":{live_server.port}")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{conf}\n}}\n"
    )
    command = [nginx, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}/sr"
    try:
        with httpx2.Client(trust_env=False) as client:

            def is_up() -> bool:
                try:
                    return client.get(f"{url}/livez").status_code == 200
                except httpx2.TransportError:
                    return False

            assert eventually(is_up), (folder / "error.log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_a_picture_and_a_job_pass(gateway: str, tmp_path: Path) -> None:
    with Client(gateway) as client:
        assert np.array_equal(client.upscale(LR, model="nearest", scale=2).array(), oracles.nearest(LR, 2))
        job = client.jobs.wait(client.jobs.create(as_file(LR), model="nearest", scale=3))
        assert client.jobs.download(job, tmp_path / "large.png").exists()


def test_a_frame_comes_back_before_the_next_one_is_sent(gateway: str) -> None:
    answered = threading.Semaphore(0)

    def camera() -> Iterator[Any]:
        for seed in range(3):
            yield pixels(16, 16, seed=seed)
            assert answered.acquire(timeout=60)

    with Client(gateway) as client:
        for frame in client.upscale_frames(camera(), model="nearest", scale=2):
            assert np.array_equal(frame.unwrap().array(), oracles.nearest(pixels(16, 16, seed=frame.index), 2))
            answered.release()


def test_the_page_knows_its_prefix(gateway: str) -> None:
    with httpx2.Client(trust_env=False, follow_redirects=True) as client:
        page = client.get(gateway, headers={"Accept": "text/html"})
        assert '<base href="/sr/">' in page.text
        assert client.get(f"{gateway}/web/app.js").status_code == 200
