"""/livez says that the process lives, /readyz whether it wants requests."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings


@pytest.fixture
def app(oracle_store: Path) -> FastAPI:
    """The application before its lifespan: nothing is warm yet."""
    return create_app(Settings(store=oracle_store, device="cpu", threads=1))


def get(app: FastAPI, path: str) -> httpx2.Response:
    async def exchange() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(exchange())


def test_a_running_service_is_alive_and_ready(client: httpx2.Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_before_the_models_are_warm_it_is_alive_and_not_ready(app: FastAPI) -> None:
    assert get(app, "/livez").status_code == 200
    answer = get(app, "/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.headers["retry-after"] == "1"


def test_while_it_drains_it_is_alive_and_not_ready(app: FastAPI) -> None:
    app.state.readiness.ready()
    app.state.readiness.drain()
    assert get(app, "/livez").status_code == 200
    answer = get(app, "/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
    assert answer.headers["retry-after"] == "1"
