"""A cache in front that keeps whatever it may: what one key's holder has got, nobody else is ever given."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from service.keys.__main__ import main
from tests.conftest import Launch, LiveServer, eventually
from tests.deploy.conftest import free_port
from tests.service.pictures import as_file, pixels

PATH = "/upscale?model=nearest&scale=2"
Cache = Callable[[LiveServer], httpx2.Client]

# Keeps every answer of every method for an hour, under its address and body alone, unless the answer forbids it.
CONF = """
{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}
http {{
    access_log off; client_max_body_size 10m; client_body_buffer_size 10m;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    proxy_cache_path {folder}/cache keys_zone=all:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{service};
            proxy_cache all; proxy_cache_methods GET HEAD POST; proxy_cache_valid any 1h;
            proxy_cache_key "$request_method $request_uri $request_body";
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Cache]:
    """Puts an nginx that keeps all it may before a server; a client of it."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")

    @contextmanager
    def before(server: LiveServer) -> Iterator[httpx2.Client]:
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""  # whose the folder is
        conf = tmp_path / "nginx.conf"
        conf.write_text(CONF.format(user=user, folder=tmp_path, port=port, service=server.port))
        process = subprocess.Popen([nginx, "-p", str(tmp_path), "-e", f"{tmp_path}/error.log", "-c", str(conf)])
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                assert eventually(lambda: _answers(client)), (tmp_path / "error.log").read_text()
                yield client
        finally:
            process.terminate()
            process.wait(30)

    with ExitStack() as running:
        yield lambda server: running.enter_context(before(server))


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx2.TransportError:
        return False


def test_such_a_cache_keeps_what_is_for_everybody(cached: Cache, launch: Launch) -> None:
    client = cached(launch())
    assert [client.get("/models").headers["x-cache"] for _ in range(2)] == ["MISS", "HIT"]


def test_what_a_keys_holder_got_nobody_else_is_given(
    cached: Cache, launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.json"
    holders = []
    for name in ("Ada", "Brook"):
        assert main(["--file", str(keys), "make", name, *(["--model", "blur"] if name == "Brook" else [])]) == 0
        holders.append({"Authorization": f"Bearer {capsys.readouterr().out.strip()}"})
    ada, brook = holders
    client, content = cached(launch(keys=keys)), as_file(pixels(6, 5))
    job = client.post("/jobs?model=nearest&scale=2", content=content, headers=ada).headers["location"]
    assert eventually(lambda: client.get(job, headers=ada).json()["state"] == "succeeded")
    for method, path in (
        ("POST", PATH),
        ("GET", "/models"),
        ("GET", "/models/blur"),
        ("GET", job),
        ("GET", f"{job}/result"),
    ):
        for _ in range(3):
            answer = client.request(method, path, content=content if method == "POST" else None, headers=ada)
            assert (answer.status_code, answer.headers["x-cache"]) == (200, "MISS"), path
            assert client.request(method, path, content=answer.request.content).status_code == 401, path
    assert client.post(PATH, content=content, headers=brook).status_code == 403
    assert client.post(PATH, content=content, headers=ada).status_code == 200  # after a refusal of the same
