"""The fake service says what the real one says: each request goes to both, and the answers are compared."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from srserve_client import ConnectionFailed
from srserve_client.problems import Overloaded, UnsupportedScale
from srserve_client.testing import FakeServer, FakeService
from tests import oracles
from tests.client.conftest import Connect
from tests.service.pictures import as_file, as_pixels, format_of, pixels

MODELS = {"nearest": (2, 3, 4)}
LR = pixels(9, 7)
ALPHA = pixels(9, 7, channels=4) | 1
GREY = LR[..., 0]

UPSCALES: dict[str, dict[str, Any]] = {
    "a picture": {},
    "another scale": {"params": {"scale": "4"}},
    "alpha": {"content": as_file(ALPHA)},
    "grey": {"content": as_file(GREY)},
    "jpeg": {"params": {"format": "jpeg", "quality": "80"}},
    "a format by Accept": {"headers": {"Accept": "image/webp"}},
    "the first of several by Accept": {"headers": {"Accept": "image/gif, image/tiff, */*"}},
    "no format by Accept": {"headers": {"Accept": "image/gif"}},
    "exact tiling": {"params": {"tiling": "exact"}},
    "no model": {"params": {"model": None}},
    "no scale": {"params": {"scale": None}},
    "an unknown model": {"params": {"model": "none"}},
    "a scale that is none of the model's": {"params": {"scale": "5"}},
    "a scale that is no number": {"params": {"scale": "big"}},
    "an unknown parameter": {"params": {"zoom": "2"}},
    "a parameter twice": {"params": {"quality": ["80", "90"]}},
    "a quality out of range": {"params": {"quality": "101"}},
    "a format that is none": {"params": {"format": "gif"}},
    "a tiling that is none": {"params": {"tiling": "none"}},
    "nothing": {"content": b""},
    "text": {"content": b"no picture at all"},
    "a damaged picture": {"content": as_file(LR)[:-40]},
}


@pytest.fixture(scope="module")
def fake() -> Iterator[httpx2.Client]:
    with FakeServer(FakeService(MODELS)) as server, httpx2.Client(base_url=server.url, trust_env=False) as client:
        yield client


def ask(client: httpx2.Client, given: dict[str, Any]) -> httpx2.Response:
    params = {"model": "nearest", "scale": "2"} | given.get("params", {})
    return client.post(
        "/upscale",
        params={name: value for name, value in params.items() if value is not None},
        content=given.get("content", as_file(LR)),
        headers=given.get("headers", {}),
    )


@pytest.mark.parametrize("name", UPSCALES)
def test_upscale_answers_as_the_service_does(client: httpx2.Client, fake: httpx2.Client, name: str) -> None:
    real, faked = ask(client, UPSCALES[name]), ask(fake, UPSCALES[name])
    assert faked.status_code == real.status_code
    assert faked.headers["content-type"] == real.headers["content-type"]
    assert headers_of(faked) == headers_of(real)
    if real.status_code == 200:
        assert format_of(faked.content) == format_of(real.content)
        if format_of(real.content) in ("PNG", "TIFF"):
            assert np.array_equal(as_pixels(faked.content), as_pixels(real.content))
    else:
        same_problem(faked, real)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/models/nearest"),
        ("GET", "/models/none"),
        ("GET", "/nothing"),
        ("POST", "/models"),
        ("GET", "/upscale"),
    ],
)
def test_other_paths_answer_as_the_service_does(
    client: httpx2.Client, fake: httpx2.Client, method: str, path: str
) -> None:
    real, faked = client.request(method, path), fake.request(method, path)
    assert (faked.status_code, faked.headers["content-type"]) == (real.status_code, real.headers["content-type"])
    if real.status_code >= 400:
        same_problem(faked, real)
    else:
        assert shape_of(faked.json()) == shape_of(real.json())


def headers_of(answer: httpx2.Response) -> set[str]:
    """The names, without those of the connection, and without the times of what failed, which may have taken none."""
    names = set(answer.headers) - {"date", "server", "content-length", "transfer-encoding", "connection"}
    return names if answer.status_code == 200 else names - {"server-timing"}


def same_problem(faked: httpx2.Response, real: httpx2.Response) -> None:
    ours, theirs = faked.json(), real.json()
    assert set(ours) == set(theirs)
    for name in ("type", "title", "status", "code", "retryable", "parameter", "supported", "known", "allowed"):
        assert ours.get(name) == theirs.get(name), name
    assert shape_of(ours.get("errors")) == shape_of(theirs.get("errors"))


def shape_of(document: Any) -> Any:  # noqa: ANN401 - JSON
    """A document's members without their values; of lists, the first entry's."""
    if isinstance(document, dict):
        return {name: shape_of(value) for name, value in document.items() if name not in ("psnr", "exporter")}
    return shape_of(document[0]) if isinstance(document, list) and document else None


# --- in tests of users


@pytest.mark.parametrize("through", ["transport", "port"])
def test_a_client_upscales_and_meets_the_failures_asked_for(connect: Connect, through: str) -> None:
    service = FakeService()
    service.fail_next(ConnectionFailed("gone"), Overloaded("full", retry_after_s=0))
    with FakeServer(service) as server:
        options = {"transport": service.transport} if through == "transport" else {}
        with connect(server.url, **options) as client:
            result = client.upscale(LR, model="edsr", scale=2)
            with pytest.raises(UnsupportedScale):
                client.upscale(LR, model="edsr", scale=5)
    assert result.attempts == 3
    assert np.array_equal(result.array(), oracles.nearest(LR, 2))
    assert [request.url.path for request in service.requests] == ["/upscale"] * 4
    assert len({request.headers["x-request-id"] for request in service.requests}) == 4


def test_a_problems_members_are_answered() -> None:
    service = FakeService()
    service.fail_next(Overloaded("full", members={"limit": 1, "actual": 2}, retry_after_s=3))
    with httpx2.Client(transport=service.transport, base_url="http://fake") as client:
        answer = client.get("/models")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert {"limit": 1, "actual": 2, "retry_after_s": 3}.items() <= json.loads(answer.content).items()
