"""The application as a whole: every path answers its errors as problems, and torch stays out."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from service.app import create_app
from service.errors import StoreError
from service.settings import Settings
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("POST", "/upscale/", 404, "not-found"),
        ("GET", "/upscale%00", 404, "not-found"),
        ("GET", "/" + "x" * 5000, 404, "not-found"),
        ("OPTIONS", "/nothing", 404, "not-found"),
        ("GET", "/upscale", 405, "method-not-allowed"),
        ("HEAD", "/upscale", 405, "method-not-allowed"),
        ("DELETE", "/models", 405, "method-not-allowed"),
        ("PATCH", "/models", 405, "method-not-allowed"),
        ("POST", "/docs", 405, "method-not-allowed"),
        ("POST", "/upscale", 422, "bad-parameter"),
    ],
)
def test_every_paths_errors_are_problems(client: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    if method != "HEAD":
        assert answer.json()["code"] == code
        assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/upscale", "POST, OPTIONS"),
        ("/models", "GET, HEAD, OPTIONS"),
        ("/models/nearest", "GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_and_a_wrong_method_are_told_what_is_allowed(client: httpx2.Client, path: str, allowed: str) -> None:
    options = client.options(path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")
    assert client.put(path).headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/models", "/models/blur", "/livez", "/readyz", "/openapi.json", "/docs"])
def test_head_is_get_without_the_body(client: httpx2.Client, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_an_error_nobody_foresaw_is_a_problem_too(oracle_store: Path) -> None:
    app = create_app(Settings(store=oracle_store, device="cpu", threads=1))

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError("secret")

    async def exchange() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/broken")

    answer = asyncio.run(exchange())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text


def test_a_store_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        create_app(Settings(store=tmp_path / "nowhere"))


def test_torch_and_what_trains_stay_out_of_the_service() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "import service.app, service.server\n"
        "bad = {'torch', 'onnx', 'onnxscript', 'safetensors', 'models', 'export', 'training'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY, timeout=120)
