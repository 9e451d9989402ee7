"""The fake service says what the real one says: each request goes to both, and the answers are compared."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from srserve_client import ConnectionFailed
from srserve_client.problems import JobCanceled, Overloaded, UnsupportedScale
from srserve_client.testing import FakeServer, FakeService
from srserve_client.testing.parameters import FakeModel, Parameters
from tests import oracles
from tests.client.conftest import Connect
from tests.service.pictures import as_file, as_pixels, format_of, pixels

MODELS = {"nearest": (2, 3, 4)}
DEGRADATIONS = {"degrading": (3,)}
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
    "an ensemble": {"params": {"ensemble": "true"}},
    "a width": {"params": {"scale": None, "width": "14"}},
    "a fractional scale": {"params": {"scale": "2.5"}},
    "a width that is too large": {"params": {"scale": None, "width": "1000"}},
    "width and scale": {"params": {"width": "20"}},
    "a width of nothing": {"params": {"scale": None, "width": "0"}},
    "no model": {"params": {"model": None}},
    "no scale": {"params": {"scale": None}},
    "an unknown model": {"params": {"model": "none"}},
    "a scale above the model's": {"params": {"scale": "5"}},
    "a scale that is no number": {"params": {"scale": "big"}},
    "an unknown parameter": {"params": {"zoom": "2"}},
    "a parameter twice": {"params": {"quality": ["80", "90"]}},
    "a quality out of range": {"params": {"quality": "101"}},
    "a format that is none": {"params": {"format": "gif"}},
    "a tiling that is none": {"params": {"tiling": "none"}},
    "a degradation": {"params": {"model": "degrading", "scale": "3"}},
    "nothing": {"content": b""},
    "text": {"content": b"no picture at all"},
    "a damaged picture": {"content": as_file(LR)[:-40]},
}
DEGRADES: dict[str, dict[str, Any]] = {
    "a picture": {"params": {"model": "degrading", "scale": "3", "seed": "7"}},
    "a seed that is drawn": {"params": {"model": "degrading", "scale": None}},
    "a scale that is not the model's": {"params": {"model": "degrading", "scale": "2"}},
    "a scale above the model's": {"params": {"model": "degrading", "scale": "4"}},
    "a seed that is no number": {"params": {"model": "degrading", "scale": "3", "seed": "-1"}},
    "an unknown parameter": {"params": {"model": "degrading", "width": "3"}},
    "a model that enlarges": {"params": {"model": "nearest", "scale": "2"}},
}
JOBS: dict[str, dict[str, Any]] = {
    "a picture": {},
    "a fractional scale": {"params": {"scale": "2.5"}},
    "no scale": {"params": {"scale": None}},
    "a scale that is none of the model's": {"params": {"scale": "5"}},
    "an unknown parameter": {"params": {"with": "20"}},
    "a width": {"params": {"scale": None, "width": "20"}},
    "a codec that there is not": {"params": {"codec": "h266"}},
    "text": {"content": b"no picture at all"},
    "nothing": {"content": b""},
}
CASES = [
    *(("/upscale", name, given) for name, given in UPSCALES.items()),
    *(("/degrade", name, given) for name, given in DEGRADES.items()),
    *(("/jobs", name, given) for name, given in JOBS.items()),
]


@pytest.fixture(scope="module")
def fake() -> Iterator[httpx2.Client]:
    service = FakeService(MODELS, DEGRADATIONS)
    with FakeServer(service) as server, httpx2.Client(base_url=server.url, trust_env=False) as client:
        yield client


def ask(client: httpx2.Client, path: str, given: dict[str, Any]) -> httpx2.Response:
    params = {"model": "nearest", "scale": "2"} | given.get("params", {})
    return client.post(
        path,
        params={name: value for name, value in params.items() if value is not None},
        content=given.get("content", as_file(LR)),
        headers=given.get("headers", {}),
    )


@pytest.mark.parametrize(("path", "name", "given"), CASES, ids=[f"{path} {name}" for path, name, _ in CASES])
def test_a_request_is_answered_as_the_service_does(
    client: httpx2.Client, fake: httpx2.Client, path: str, name: str, given: dict[str, Any]
) -> None:
    real, faked = ask(client, path, given), ask(fake, path, given)
    assert faked.status_code == real.status_code, real.text
    assert faked.headers["content-type"] == real.headers["content-type"]
    assert headers_of(faked) == headers_of(real)
    if real.status_code >= 400:
        same_problem(faked, real)
    elif path == "/jobs":
        assert shape_of(faked.json()) == shape_of(real.json())
    else:
        assert format_of(faked.content) == format_of(real.content)
        assert as_pixels(faked.content).shape == as_pixels(real.content).shape
        if path == "/upscale" and format_of(real.content) == "PNG" and "x-sr-reduction" not in real.headers:
            assert np.array_equal(as_pixels(faked.content), as_pixels(real.content))


def test_an_etag_saves_the_work_as_the_services_does(client: httpx2.Client, fake: httpx2.Client) -> None:
    for server in (client, fake):
        etag = ask(server, "/upscale", {}).headers["etag"]
        again = ask(server, "/upscale", {"headers": {"If-None-Match": etag}})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert ask(server, "/upscale", {"params": {"scale": "3"}}).headers["etag"] != etag


def test_a_job_goes_the_way_it_goes_at_the_service(client: httpx2.Client, fake: httpx2.Client) -> None:
    def way(server: httpx2.Client) -> Iterator[object]:
        job_id = ask(server, "/jobs", {}).json()["id"]
        with server.stream("GET", f"/jobs/{job_id}/events") as events:
            yield events.headers["content-type"]
            last = [json.loads(event.data) for event in httpx2.EventSource(events) if event.data][-1]
        yield last["state"], shape_of(last["result"])
        yield shape_of(server.get(f"/jobs/{job_id}").json())
        whole = server.get(f"/jobs/{job_id}/result")
        yield whole.status_code, whole.headers["content-type"], as_pixels(whole.content).tolist()
        rest = {"Range": "bytes=20-", "If-Range": whole.headers["etag"]}
        part = server.get(f"/jobs/{job_id}/result", headers=rest)
        yield part.status_code, part.content == whole.content[20:], part.headers["content-range"][:9]
        yield server.delete(f"/jobs/{job_id}").json()["state"]
        yield server.get(f"/jobs/{job_id}/result").json()["code"]

    assert list(way(fake)) == list(way(client))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/models/nearest"),
        ("GET", "/models/degrading"),
        ("GET", "/models/none"),
        ("GET", "/nothing"),
        ("POST", "/models"),
        ("GET", "/upscale"),
        ("GET", "/jobs/none"),
        ("GET", "/jobs/none/events"),
        ("GET", "/jobs/none/result"),
        ("DELETE", "/jobs/none"),
        ("POST", "/jobs/none"),
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
        return {
            name: shape_of(value)
            for name, value in document.items()
            if name not in ("psnr", "exporter", "parameters", "source")
        }
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


def test_a_job_can_be_held_followed_canceled_and_let_go(connect: Connect) -> None:
    service = FakeService()
    service.jobs.is_held = True
    with FakeServer(service) as server, connect(server.url) as client:
        canceled = client.jobs.create(LR, model="edsr", scale=2)
        assert client.jobs.cancel(canceled).state == "canceled"
        with pytest.raises(JobCanceled):
            client.jobs.wait(canceled)
        job = client.jobs.create(LR, model="edsr", scale=2)
        assert client.jobs.get(job).state == "queued"
        threading.Timer(0.2, service.jobs.run, [job.id]).start()
        seen = [state.progress.done for state in client.jobs.follow(job)]
    assert seen == sorted(seen)
    assert seen[-1] == 4


def test_jobs_and_degradations_work_without_a_port(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for half in ("aio", "sync"):
        monkeypatch.setattr(f"srserve_client.{half}.jobs.RECONNECT_S", 0.01)
    with connect(transport=FakeService().transport) as client:
        job = client.jobs.wait(client.jobs.create(LR, model="edsr", scale=3))
        path = client.jobs.download(job, tmp_path / "large.png")
        degraded = client.degrade(LR, model="h2l", seed=5)
    assert np.array_equal(as_pixels(path.read_bytes()), oracles.nearest(LR, 3))
    assert (degraded.seed, degraded.image().size) == (5, (2, 3))


def test_a_model_with_one_scale_needs_not_be_told_it_as_at_the_service() -> None:
    asked = Parameters.of("/upscale", httpx2.QueryParams("model=one"), {"one": FakeModel("one", (4,))})
    assert asked.target(5, 3) == (4, 20, 12)
