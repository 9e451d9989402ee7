"""/jobs over a real server: accepted, followed, fetched in parts, canceled, refused."""

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from service.routes.jobs import JobDocument
from tests import oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, bomb, pixels
from tests.service.routes.asking import SMALL, problem


def hand_in(
    client: httpx2.Client,
    content: bytes = SMALL,
    *,
    model: str = "nearest",
    **query: Any,  # noqa: ANN401 - parameters, and `headers`
) -> httpx2.Response:
    headers = query.pop("headers", {})
    parameters = {"model": model, "scale": "2"} | query
    return client.post("/jobs", params=parameters, content=content, headers=headers)


def document(answer: httpx2.Response) -> dict[str, Any]:
    """The job's document, held to its schema."""
    assert answer.headers["content-type"] == "application/json", answer.text
    found: dict[str, Any] = answer.json()
    JobDocument.model_validate(found)
    return found


def finished(client: httpx2.Client, accepted: httpx2.Response) -> dict[str, Any]:
    """The document of the job when it has ended."""
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["location"]
    states = ("succeeded", "failed", "canceled", "expired")
    assert eventually(lambda: document(client.get(path))["state"] in states, timeout_s=60)
    return document(client.get(path))


def uploads(server: LiveServer) -> list[Path]:
    """What lies there of uploads that are under way."""
    return list(server.log.with_suffix(".jobs").glob("incoming/*/*/"))


@pytest.fixture(scope="module")
def done(live_server: LiveServer) -> Iterator[tuple[httpx2.Client, dict[str, Any], bytes]]:
    """A client, a job that has succeeded, and its result."""
    with live_server.client() as client:
        job = finished(client, hand_in(client, as_file(pixels(40, 30))))
        assert job["state"] == "succeeded"
        yield client, job, client.get(job["links"]["result"]).content


# --- from the upload to the result


def test_a_picture_becomes_a_job_and_comes_back_larger_to_the_bit(client: httpx2.Client) -> None:
    lr = pixels(130, 70)
    content = as_file(lr)
    accepted = hand_in(client, content, model="blur")
    first = document(accepted)
    assert first["state"] in ("queued", "running")
    assert accepted.headers["location"] == first["links"]["self"] == f"/jobs/{first['id']}"
    assert int(accepted.headers["retry-after"]) > 0
    job = finished(client, accepted)
    assert job["kind"] == "picture"
    assert job["source"] == {
        "bytes": len(content),
        "media_type": "image/png",
        "format": "png",
        "width": 70,
        "height": 130,
        "bits": 8,
    }
    assert job["parameters"]["model"] == "blur"
    times = [datetime.fromisoformat(job[name]) for name in ("created_at", "started_at", "finished_at", "expires_at")]
    assert times == sorted(times)
    answer = client.get(job["links"]["result"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == job["result"]["media_type"] == "image/png"
    assert job["result"]["bytes"] == len(answer.content) == int(answer.headers["content-length"])
    assert job["result"]["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert (job["result"]["width"], job["result"]["height"]) == (140, 260)
    assert np.array_equal(as_pixels(answer.content), oracles.blur(lr, 2))


def test_the_result_is_the_same_file_as_that_of_upscale(client: httpx2.Client) -> None:
    content = as_file(pixels(60, 90, channels=4))
    for query in ({"format": "webp", "quality": "100"}, {"format": "tiff", "metadata": "strip"}, {"tiling": "exact"}):
        job = finished(client, hand_in(client, content, model="rough", **query))
        assert job["progress"]["fraction"] == 1.0
        waited = client.post("/upscale", params={"model": "rough", "scale": "2"} | query, content=content)
        assert client.get(job["links"]["result"]).content == waited.content


@pytest.mark.parametrize(
    "query", [{"scale": "1.5"}, {"width": "100"}, {"height": "70", "width": "100"}, {"scale": "2", "ensemble": "true"}]
)
def test_sizes_and_ensemble_are_those_of_upscale(client: httpx2.Client, query: dict[str, str]) -> None:
    content = as_file(pixels(60, 90))
    parameters = {"model": "oriented"} | query
    job = finished(client, client.post("/jobs", params=parameters, content=content))
    waited = client.post("/upscale", params=parameters, content=content)
    assert waited.status_code == 200, waited.text
    assert client.get(job["links"]["result"]).content == waited.content
    assert job["progress"]["fraction"] == 1.0


def test_a_size_has_to_be_asked_for(client: httpx2.Client) -> None:
    missing = problem(client.post("/jobs?model=nearest", content=SMALL), 422, "bad-parameter")
    assert missing["parameter"] == "scale"
    both = problem(client.post("/jobs?model=nearest&scale=2&width=9", content=SMALL), 422, "bad-parameter")
    assert both["parameter"] == "width"


def test_a_form_is_as_good_as_raw_bytes(client: httpx2.Client) -> None:
    files = {"file": ("../../a.png", SMALL, "image/png")}
    job = finished(client, client.post("/jobs?model=nearest&scale=2", files=files))
    assert np.array_equal(as_pixels(client.get(job["links"]["result"]).content), oracles.nearest(as_pixels(SMALL), 2))


def test_a_job_that_failed_says_why(client: httpx2.Client) -> None:
    broken = bytearray(as_file(pixels(60, 60)))
    broken[len(broken) // 2] ^= 255  # behind the header, which is all that is looked at when it is handed in
    job = finished(client, hand_in(client, bytes(broken)))
    assert job["state"] == "failed"
    assert job["problem"]["code"] == "undecodable-image"
    assert job["problem"]["instance"] == job["id"]
    refused = problem(client.get(job["links"]["result"]), 409, "job-failed")
    assert refused["problem"] == job["problem"]


def test_a_poisoned_picture_fails_after_some_tries(client: httpx2.Client) -> None:
    poisoned = np.full((5, 5, 3), oracles.POISON, np.uint8)
    job = finished(client, hand_in(client, as_file(poisoned), model="poison"))
    assert (job["state"], job["problem"]["code"]) == ("failed", "inference-failed")


# --- refused at once


@pytest.mark.parametrize(
    ("content", "query", "status", "code"),
    [
        (SMALL, {"model": "nothing"}, 404, "unknown-model"),
        (SMALL, {"scale": "7"}, 422, "unsupported-scale"),
        (SMALL, {"format": "gif"}, 422, "bad-parameter"),
        (SMALL, {"qualty": "5"}, 422, "bad-parameter"),
        (SMALL, {"quality": "0"}, 422, "bad-parameter"),
        (b"", {}, 400, "empty-body"),
        (b"no picture at all", {}, 415, "unsupported-media"),
        (bomb(30_000, 30_000), {}, 422, "too-many-pixels"),
        (SMALL[:20], {}, 422, "undecodable-image"),
    ],
)
def test_what_can_be_told_at_once_is_refused_at_once(
    live_server: LiveServer, client: httpx2.Client, content: bytes, query: dict[str, str], status: int, code: str
) -> None:
    problem(hand_in(client, content, **query), status, code)
    assert uploads(live_server) == []


@pytest.mark.parametrize("path", ["", "/events", "/result"])
@pytest.mark.parametrize("job_id", ["0" * 32, "..%2F..%2Fetc", "x" * 3000])
def test_unknown_jobs_are_problems(client: httpx2.Client, path: str, job_id: str) -> None:
    problem(client.get(f"/jobs/{job_id}{path}"), 404, "unknown-job" if "%2F" not in job_id else "not-found")


def test_an_upload_over_the_limit_leaves_nothing(launch: Launch) -> None:
    server = launch(max_job_bytes=10_000, max_body_bytes=5_000)
    with server.client() as client:
        assert problem(hand_in(client, bytes(10_001)), 413, "body-too-large")["limit"] == 10_000
        chunks = (bytes(1000) for _ in range(20))
        answer = client.post("/jobs?model=nearest&scale=2", content=chunks)
        assert problem(answer, 413, "body-too-large")["limit"] == 10_000
        picture = as_file(pixels(60, 50))
        assert 5_000 < len(picture) < 10_000
        assert problem(hand_in(client, picture), 413, "body-too-large")["limit"] == 5_000
    assert uploads(server) == []


def test_more_jobs_than_may_wait_are_told_to_come_back(launch: Launch) -> None:
    server = launch(max_jobs=1, max_tile=16)
    with server.client() as client:
        slow = hand_in(client, as_file(pixels(1500, 1500)), model="blur")
        assert slow.status_code == 202
        refused = hand_in(client)
        assert problem(refused, 429, "overloaded")["limit"] == 1
        assert int(refused.headers["retry-after"]) > 0
        assert client.delete(slow.headers["location"]).status_code == 200
        assert eventually(lambda: hand_in(client).status_code == 202)


def test_a_full_folder_is_told_as_such(launch: Launch) -> None:
    server = launch(max_jobs_bytes=1000)
    with server.client() as client:
        refused = hand_in(client, as_file(pixels(60, 50)))
        assert problem(refused, 507, "storage-full")["limit"] == 1000
        assert refused.headers["retry-after"]


# --- the same request twice


def test_an_idempotency_key_gives_one_job(client: httpx2.Client) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5"'}
    first = hand_in(client, headers=key)
    again = hand_in(client, headers=key)
    bare = hand_in(client, headers={"Idempotency-Key": "8e03978e-40d5"})
    assert {answer.status_code for answer in (first, again, bare)} == {202}
    assert {answer.headers["location"] for answer in (first, again, bare)} == {first.headers["location"]}
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    problem(hand_in(client, as_file(pixels(3, 3)), headers=key), 422, "idempotency-key-reused")
    problem(hand_in(client, headers=key, scale="3"), 422, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", "with space", "x" * 300])
def test_a_key_that_is_none_is_refused(client: httpx2.Client, key: str) -> None:
    problem(hand_in(client, headers={"Idempotency-Key": key}), 400, "bad-request")


# --- results


def test_a_result_comes_in_parts_and_a_broken_download_goes_on(
    done: tuple[httpx2.Client, dict[str, Any], bytes],
) -> None:
    client, job, whole = done
    path = job["links"]["result"]
    head = client.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole)), b"")
    assert head.headers["accept-ranges"] == "bytes"
    etag = head.headers["etag"]
    assert etag == f'"{job["result"]["sha256"]}"'
    middle = client.get(path, headers={"Range": "bytes=10-99", "If-Range": etag})
    assert (middle.status_code, middle.content) == (206, whole[10:100])
    assert middle.headers["content-range"] == f"bytes 10-99/{len(whole)}"
    rest = client.get(path, headers={"Range": "bytes=100-"})
    assert whole[:10] + middle.content + rest.content == whole
    assert client.get(path, headers={"Range": "bytes=-7"}).content == whole[-7:]
    changed = client.get(path, headers={"Range": "bytes=10-99", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, whole)


def test_a_range_that_is_not_there_is_a_problem(done: tuple[httpx2.Client, dict[str, Any], bytes]) -> None:
    client, job, whole = done
    beyond = client.get(job["links"]["result"], headers={"Range": f"bytes={len(whole)}-"})
    assert problem(beyond, 416, "range-not-satisfiable")["limit"] == len(whole)
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    problem(client.get(job["links"]["result"], headers={"Range": "bytes=x-y"}), 400, "bad-request")


def test_a_known_result_is_not_sent_again(done: tuple[httpx2.Client, dict[str, Any], bytes]) -> None:
    client, job, _ = done
    etag = f'"{job["result"]["sha256"]}"'
    for tags in (etag, f'"other", W/{etag}', "*"):
        answer = client.get(job["links"]["result"], headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(job["links"]["result"], headers={"If-None-Match": '"other"'}).status_code == 200


# --- canceling


def test_a_running_job_is_canceled_within_a_second(launch: Launch) -> None:
    server = launch(max_tile=16, job_workers=1)  # tens of thousands of tiles
    with server.client() as client:
        slow = hand_in(client, as_file(pixels(2000, 2000)), model="blur").headers["location"]
        assert problem(client.get(f"{slow}/result"), 409, "job-not-ready")["retryable"] is True
        assert eventually(lambda: document(client.get(slow))["state"] == "running")
        time.sleep(0.3)
        assert document(client.get(slow))["state"] == "running", "the picture was too small for this test"
        began = time.monotonic()
        answer = client.delete(slow)
        assert (answer.status_code, document(answer)["state"]) == (200, "canceled")
        assert time.monotonic() - began < 1
        assert finished(client, hand_in(client))["state"] == "succeeded"  # the one worker is free
        problem(client.get(f"{slow}/result"), 410, "job-canceled")
        assert document(client.delete(slow))["state"] == "canceled"
        folder = server.log.with_suffix(".jobs") / slow.rpartition("/")[2]
        assert eventually(lambda: not folder.exists())


def test_to_delete_a_finished_job_deletes_its_result(client: httpx2.Client, live_server: LiveServer) -> None:
    job = finished(client, hand_in(client))
    folder = live_server.log.with_suffix(".jobs") / job["id"]
    assert eventually(lambda: [entry.suffix for entry in folder.iterdir()] == [".png"])  # the input is gone
    assert document(client.delete(job["links"]["self"]))["state"] == "expired"
    assert not folder.exists()
    problem(client.get(job["links"]["result"]), 410, "job-expired")


def test_a_result_expires(launch: Launch) -> None:
    server = launch(job_keep_s=1)
    with server.client() as client:
        job = finished(client, hand_in(client))
        path = job["links"]["result"]
        assert eventually(lambda: client.get(path).status_code == 410)
        assert eventually(lambda: client.get(path).status_code == 404)


# --- events


def events_of(
    client: httpx2.Client, path: str, last_event_id: str | None = None, *, most: int = 10_000
) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, name, document) of the stream's events to its end."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    found: list[tuple[str, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                job = json.loads(fields["data"])
                JobDocument.model_validate(job)
                found.append((fields["id"], fields["event"], job))
                if len(found) == most:
                    return found
            if not line:
                fields = {}
    return found


def test_events_tell_of_a_job_until_it_has_ended(launch: Launch) -> None:
    server = launch(max_tile=16)
    with server.client() as client:
        path = hand_in(client, as_file(pixels(600, 600)), model="blur").headers["location"]
        events = events_of(client, f"{path}/events")
        last, name, job = events[-1]
        tiles = job["progress"]["total"]
        assert tiles > 3000
        assert job["progress"] == {"unit": "tiles", "done": tiles, "total": tiles, "fraction": 1.0, "eta_s": None}
        assert {job["progress"]["total"] for _, _, job in events} <= {None, tiles}
        done = [job["progress"]["done"] for _, _, job in events]
        assert done == sorted(done)
        assert len(set(done)) > 2
        assert (name, job["state"]) == ("state", "succeeded")
        ids = [int(event_id) for event_id, _, _ in events]
        assert ids == sorted(set(ids))
        # Whoever comes back for more is told that there is none, which ends a browser's EventSource.
        assert client.get(f"{path}/events", headers={"Last-Event-ID": last}).status_code == 204
        assert events_of(client, f"{path}/events") == [(last, "state", job)]


def test_a_lost_stream_goes_on_where_it_was(launch: Launch) -> None:
    server = launch(max_tile=16)
    with server.client() as client:
        path = hand_in(client, as_file(pixels(800, 800)), model="blur").headers["location"] + "/events"
        first = events_of(client, path, most=1)
        rest = events_of(client, path, first[-1][0])
        assert int(rest[0][0]) > int(first[-1][0])
        assert rest[-1][2]["state"] == "succeeded"
        for stale in ("0", "nonsense", "-7", "9" * 40):
            assert events_of(client, path, stale)[0][2]["state"] == "succeeded"
