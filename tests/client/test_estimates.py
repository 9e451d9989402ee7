"""client.estimate says what the service says, from a size, a file or its beginning; the fake service answers alike."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from srserve_client import AsyncClient, Client
from srserve_client.problems import TooLargeForSync, TooManyPixels, UnknownModel, UnsupportedMedia, UnsupportedScale
from srserve_client.testing import FakeService
from tests.conftest import LiveServer
from tests.service.pictures import as_file, pixels


def test_a_size_is_enough(live_server: LiveServer) -> None:
    with Client(live_server.url) as client:
        made = client.estimate((200, 130), model="nearest", scale=2)
    assert made.accepted
    assert made.problem is None
    assert (made.width, made.height, made.scale, made.tiles) == (400, 260, 2, 12)
    assert made.seconds is not None
    assert set(made.seconds) == {"decode", "queue", "infer", "encode", "total"}
    assert made.measured
    assert made.deadline_s <= 60
    assert made.raw["pixels"] >= 200 * 130


def test_of_a_large_file_only_the_beginning_is_sent(live_server: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(as_file(pixels(130, 200)) + bytes(3 * 2**20))
    with Client(live_server.url) as client:
        made = client.estimate(path, model="nearest", scale=2)
    assert (made.width, made.height) == (400, 260)


def test_what_would_be_refused_has_its_problem_as_an_error_to_look_at(live_server: LiveServer) -> None:
    with Client(live_server.url) as client:
        large = client.estimate((9000, 9000), model="nearest", scale=2)
        late = client.estimate((3000, 3000), model="nearest", scale=2, timeout=0.9)
    assert not large.accepted
    assert isinstance(large.problem, TooManyPixels)
    assert large.seconds is None
    assert large.width is None
    assert late.deadline_s <= 0.9
    assert late.accepted or isinstance(late.problem, TooLargeForSync)


def test_what_is_wrong_with_the_question_is_raised(live_server: LiveServer) -> None:
    with Client(live_server.url) as client:
        with pytest.raises(UnknownModel):
            client.estimate((5, 5), model="none", scale=2)
        with pytest.raises(UnsupportedScale):
            client.estimate((5, 5), model="nearest", scale=9)
        with pytest.raises(UnsupportedMedia):
            client.estimate(b"no picture", model="nearest", scale=2)


def test_the_async_client_asks_the_same(live_server: LiveServer) -> None:
    async def ask() -> tuple[int | None, int | None]:
        async with AsyncClient(live_server.url) as client:
            made = await client.estimate((200, 130), model="nearest", scale=2)
        return made.width, made.height

    assert asyncio.run(ask()) == (400, 260)


def test_the_fake_service_has_the_same_members(live_server: LiveServer) -> None:
    def both(content: bytes | dict[str, int], **params: str) -> tuple[httpx2.Response, httpx2.Response]:
        body = {"json": content} if isinstance(content, dict) else {"content": content}
        with (
            live_server.client() as real,
            httpx2.Client(transport=FakeService({"nearest": (2, 3, 4)}).transport, base_url="http://fake") as fake,
        ):
            first = real.post("/estimate", params=params, **body)
            second = fake.post("/estimate", params=params, **body)
            return first, second

    for content in ({"width": 20, "height": 13}, as_file(pixels(13, 20))):
        real, fake = both(content, model="nearest", scale="2")
        assert real.status_code == fake.status_code == 200
        assert set(real.json()) == set(fake.json())
        for name in ("accepted", "width", "height", "scale", "tiles"):
            assert real.json()[name] == fake.json()[name], name
    for params in (
        {"model": "none", "scale": "2"},
        {"model": "nearest", "scale": "9"},
        {"model": "nearest", "zoom": "2"},
    ):
        real, fake = both({"width": 20, "height": 13}, **params)
        assert (real.status_code, real.json()["code"]) == (fake.status_code, fake.json()["code"])
