"""POST /estimate says what /upscale would do: the same numbers, the same refusals, and nothing done."""

from typing import Any

import httpx2
import pytest

from tests.conftest import Launch
from tests.service.pictures import as_file, bomb, pixels

PATH = "/estimate?model=nearest&scale=2"


def answer(client: httpx2.Client, path: str = PATH, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    reply = client.post(path, json=facts)
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def test_from_its_size_a_picture_is_estimated(client: httpx2.Client) -> None:
    found = answer(client, width=200, height=130, bytes=5000)
    assert found["accepted"] is True
    assert "problem" not in found
    assert (found["width"], found["height"], found["scale"]) == (400, 260, 2)
    assert found["tiles"] == 12  # of at most 64 x 64
    assert found["pixels"] >= 200 * 130
    assert found["measured"] is True
    assert found["deadline_s"] == 60
    seconds = found["predicted_s"]
    parts = sum(seconds[name] for name in ("decode", "queue", "infer", "encode"))
    assert seconds["total"] == pytest.approx(parts, abs=1e-5)
    assert seconds["infer"] > 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_the_beginning_of_a_file_does_as_well(client: httpx2.Client, kind: str) -> None:
    content = as_file(pixels(130, 200), kind)
    if kind != "TIFF":  # whose directory may stand at the end
        content = content[:1000]
    reply = client.post(PATH, content=content)
    assert reply.status_code == 200, reply.text
    assert reply.json() | {"predicted_s": 0, "peak_bytes": 0} == answer(
        client, width=200, height=130, format=kind.lower()
    ) | {"predicted_s": 0, "peak_bytes": 0}


def test_its_numbers_are_those_of_the_request_itself(client: httpx2.Client) -> None:
    content = as_file(pixels(130, 200, channels=4))
    made = client.post("/upscale?model=nearest&scale=2", content=content)
    assert int(made.headers["x-sr-tiles"]) == answer(client, width=200, height=130, alpha=True)["tiles"]
    assert made.headers["x-sr-size"] == "400x260"


def test_any_size_ensembles_and_degradations_are_estimated(client: httpx2.Client) -> None:
    small = answer(client, "/estimate?model=nearest&width=300", width=200, height=130)
    assert (small["width"], small["height"], small["scale"]) == (300, 195, 2)
    assert answer(client, "/estimate?model=nearest&scale=2&ensemble=true", width=200, height=130)["tiles"] == 12
    less = answer(client, "/estimate?model=degrading&scale=3", width=192, height=190)
    assert less["accepted"] is True
    assert (less["width"], less["height"]) == (64, 64)


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"width": 20_000, "height": 2}, "too-many-pixels"), ({"width": 8000, "height": 8000}, "too-many-pixels")],
)
def test_what_would_be_refused_says_why(client: httpx2.Client, facts: dict[str, Any], code: str) -> None:
    found = answer(client, **facts)
    assert found["accepted"] is False
    assert found["problem"]["code"] == code
    assert found["problem"]["actual"] > found["problem"]["limit"]
    refused = client.post("/upscale?model=nearest&scale=2", content=bomb(facts["width"], facts["height"])).json()
    assert refused["detail"] == found["problem"]["detail"]


def test_too_much_memory_time_or_too_many_places_are_told_with_the_numbers(launch: Launch) -> None:
    server = launch(max_memory_bytes=3_000_000, max_body_bytes=2_000_000, deadline_s=0.5, max_requests=1)
    with server.client() as client:
        much = answer(client, width=1000, height=400, bytes=1000)
        assert (much["accepted"], much["problem"]["code"]) == (False, "output-too-large")
        assert much["peak_bytes"] == much["problem"]["actual"] > much["problem"]["limit"] == 3_000_000
        long = answer(client, width=5000, height=5000, bytes=1000)
        assert long["problem"]["code"] == "too-large-for-sync"
        assert long["problem"]["limit"] == long["deadline_s"] == 0.5
        assert long["problem"]["actual"] > 0.5
        assert long["problem"]["retryable"] is False


def test_the_callers_own_deadline_counts(client: httpx2.Client) -> None:
    hasty = client.post(PATH, json={"width": 3000, "height": 3000}, headers={"X-Request-Timeout-Ms": "1"}).json()
    assert (hasty["deadline_s"], hasty["accepted"]) == (0.001, False)
    assert hasty["problem"]["code"] == "too-large-for-sync"


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 422, "bad-parameter"),
        (b"[]", "application/json", 422, "bad-parameter"),
        (b'{"width": 0, "height": 5}', "application/json", 422, "bad-parameter"),
        (b'{"width": 5}', "application/json; charset=utf-8", 422, "bad-parameter"),
        (b'{"width": 5, "height": 5, "depth": 3}', "application/json", 422, "bad-parameter"),
        (b'{"width": 5, "height": 5, "format": "gif"}', "application/json", 422, "bad-parameter"),
        (b"", "application/json", 400, "empty-body"),
        (b"no picture", "image/png", 415, "unsupported-media"),
        (bytes(2**20 + 1), "image/png", 413, "body-too-large"),
    ],
)
def test_what_is_no_picture_is_a_problem_of_the_request(
    client: httpx2.Client, content: bytes, media_type: str, status: int, code: str
) -> None:
    reply = client.post(PATH, content=content, headers={"Content-Type": media_type})
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize("query", ["model=none&scale=2", "scale=2", "model=nearest&scale=9", "model=nearest&scal=2"])
def test_what_upscale_does_not_take_is_refused_alike(client: httpx2.Client, query: str) -> None:
    reply = client.post(f"/estimate?{query}", json={"width": 5, "height": 5})
    other = client.post(f"/upscale?{query}", content=as_file(pixels(5, 5)))
    assert (reply.status_code, reply.json()["code"]) == (other.status_code, other.json()["code"])
