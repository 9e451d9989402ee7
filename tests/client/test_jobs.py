"""Jobs against the running service: handed in once, followed to their end over broken connections, fetched in parts."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srserve_client import ConnectionFailed, DeadlineExpired, Job, UnexpectedAnswer
from srserve_client.problems import JobCanceled, JobExpired, JobNotReady, UndecodableImage, UnknownJob, UnknownModel
from tests import oracles
from tests.client.conftest import Connect
from tests.client.scripted import Scripted, scripted
from tests.conftest import LiveServer
from tests.service.pictures import as_file, as_pixels, pixels

LR = pixels(150, 90)


def test_a_job_is_handed_in_followed_and_fetched(connect: Connect, live_server: LiveServer, tmp_path: Path) -> None:
    seen: list[Job] = []
    sizes: list[tuple[int, int]] = []
    (tmp_path / "photo.png").write_bytes(as_file(LR))
    with connect(live_server.url) as client:
        job = client.jobs.create(tmp_path / "photo.png", model="blur", scale=2)
        assert job.kind == "picture"
        done = client.jobs.wait(job, on_progress=seen.append)
        path = client.jobs.download(done, tmp_path / "new" / "large.png", on_progress=lambda *at: sizes.append(at))
        assert client.jobs.get(job.id) == done
    assert np.array_equal(as_pixels(path.read_bytes()), oracles.blur(LR, 2))
    assert [file.name for file in path.parent.iterdir()] == ["large.png"]
    assert (done.state, done.is_finished) == ("succeeded", True)
    assert done.result is not None
    assert sizes[-1] == (done.result.bytes, done.result.bytes)
    assert seen[-1] == done
    assert {state.id for state in seen} == {job.id}
    assert done.created_at <= done.started_at <= done.finished_at < done.expires_at


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "image", "array"])
def test_whatever_is_a_picture_can_be_handed_in(
    connect: Connect, live_server: LiveServer, tmp_path: Path, kind: str
) -> None:
    content = as_file(LR)
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with connect(live_server.url) as client, path.open("rb") as file:
        source: Any = {"bytes": content, "path": str(path), "file": file, "image": LR, "array": LR}[kind]
        job = client.jobs.create(source, model="nearest", scale=2)
        assert not file.closed
        saved = client.jobs.download(client.jobs.wait(job), tmp_path / "large.png")
    assert np.array_equal(as_pixels(saved.read_bytes()), oracles.nearest(LR, 2))


def test_a_key_gives_the_same_job_once(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        key = f"key-{id(client)}"
        one, two = (client.jobs.create(as_file(LR), model="nearest", scale=2, idempotency_key=key) for _ in range(2))
        other = client.jobs.create(as_file(LR), model="nearest", scale=2)
    assert one.id == two.id != other.id


def test_a_job_that_failed_raises_its_problem(connect: Connect, live_server: LiveServer, tmp_path: Path) -> None:
    broken = bytearray(as_file(LR))
    broken[len(broken) // 2] ^= 255
    with connect(live_server.url) as client:
        job = client.jobs.create(bytes(broken), model="nearest", scale=2)
        with pytest.raises(UndecodableImage) as raised:
            client.jobs.wait(job)
        with pytest.raises(UndecodableImage):
            client.jobs.download(job, tmp_path / "x")
    assert raised.value.request_id == job.id


def test_a_canceled_job_and_an_expired_one_say_so(connect: Connect, live_server: LiveServer, tmp_path: Path) -> None:
    with connect(live_server.url) as client:
        done = client.jobs.wait(client.jobs.create(as_file(LR), model="nearest", scale=2))
        assert client.jobs.cancel(done).state == "expired"
        assert client.jobs.cancel(done.id).state == "expired"
        with pytest.raises(JobExpired):
            client.jobs.download(done.id, tmp_path / "x")
        job = client.jobs.create(as_file(pixels(900, 900)), model="blur", scale=2)
        state = client.jobs.cancel(job).state
        assert state in ("canceled", "expired")  # it may have been quicker
        with pytest.raises(JobCanceled if state == "canceled" else JobExpired):
            client.jobs.wait(job)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_job_is_told_at_once(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        with pytest.raises(UnknownModel):
            client.jobs.create(as_file(LR), model="none", scale=2)
        with pytest.raises(UnknownJob):
            client.jobs.get("nothing like that")
        with pytest.raises(UnknownJob):
            client.jobs.wait("nothing")
        with pytest.raises(FileNotFoundError):
            client.jobs.create("none.mp4", model="nearest", scale=2)


# --- broken connections, from a server that answers as it is told


def document(state: str, **changes: object) -> dict[str, object]:
    return {
        "id": "j",
        "kind": "video",
        "state": state,
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "progress": {"unit": "frames", "done": 3, "total": 9, "fraction": 1 / 3, "eta_s": 1.5},
        "waiting_for": None,
        "problem": None,
        "result": None,
    } | changes


def event(event_id: str, state: str) -> bytes:
    return f"event: state\nid: {event_id}\ndata: {json.dumps(document(state))}\n\n".encode()


def events(*parts: bytes, cut: bool = False) -> Scripted:
    return Scripted(headers={"Content-Type": "text/event-stream"}, body=b"retry: 1000\n\n" + b"".join(parts), cut=cut)


def asked_for(state: str) -> Scripted:
    return Scripted(headers={"Content-Type": "application/json"}, body=json.dumps(document(state)).encode())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for half in ("aio", "sync"):
        for module in ("jobs", "download"):
            monkeypatch.setattr(f"srserve_client.{half}.{module}.RECONNECT_S", 0.01)


def test_a_stream_that_breaks_is_gone_on_with_after_the_last_event(connect: Connect) -> None:
    script = (
        events(event("1-1", "queued"), event("1-2", "running"), cut=True),
        events(event("1-3", "running")),
        events(event("end", "succeeded")),
    )
    with scripted(*script) as server, connect(server.url) as client:
        states = [job.state for job in client.jobs.follow("j")]
    assert states == ["queued", "running", "running", "succeeded"]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "1-2", "1-3"]
    assert {asked.path for asked in server.asked} == {"/jobs/j/events"}


def test_where_no_event_comes_through_the_job_is_asked_for(connect: Connect) -> None:
    script = (events(), asked_for("running"), events(), asked_for("succeeded"))
    with scripted(*script) as server, connect(server.url) as client:
        assert client.jobs.wait("j").state == "succeeded"
    assert [asked.path for asked in server.asked] == ["/jobs/j/events", "/jobs/j"] * 2


def test_a_service_that_is_away_for_a_while_ends_nothing(connect: Connect) -> None:
    away = Scripted(cut=True)
    script = (
        events(event("1-1", "running"), cut=True),
        away,
        away,
        away,
        asked_for("running"),
        events(event("end", "succeeded")),
    )
    with scripted(*script) as server, connect(server.url, retries=0) as client:
        assert client.jobs.wait("j").state == "succeeded"


def test_patience_ends(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for half in ("aio", "sync"):
        monkeypatch.setattr(f"srserve_client.{half}.jobs.PATIENCE_S", 0.2)
    with (
        scripted(Scripted(cut=True)) as server,
        connect(server.url, retries=0) as client,
        pytest.raises(ConnectionFailed),
    ):
        client.jobs.wait("j")
    assert len(server.asked) > 2


def test_waiting_ends_with_its_timeout_and_the_job_is_told_no_deadline(connect: Connect) -> None:
    never = threading.Event()
    with scripted(events(event("1-1", "running")), Scripted(wait=never)) as server:
        with connect(server.url) as client, pytest.raises(DeadlineExpired):
            client.jobs.wait("j", timeout=0.5)
        never.set()
    assert all("x-request-timeout-ms" not in asked.headers for asked in server.asked)


CONTENT = bytes(range(256)) * 40
RESULT = {"bytes": len(CONTENT), "media_type": "video/mp4", "sha256": hashlib.sha256(CONTENT).hexdigest()}
DONE = Scripted(
    headers={"Content-Type": "application/json"},
    body=json.dumps(document("succeeded", result=RESULT)).encode(),
)


def rest(offset: int, *, to: int = len(CONTENT), cut: bool = False) -> Scripted:
    headers = {"ETag": f'"{RESULT["sha256"]}"', "Content-Range": f"bytes {offset}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    return Scripted(206, headers, CONTENT[offset:to], cut=cut)


def test_a_download_that_breaks_is_gone_on_with(connect: Connect, tmp_path: Path) -> None:
    script = (DONE, Scripted(body=CONTENT[:4000], cut=True), rest(4000, to=7000, cut=True), rest(7000))
    with scripted(*script) as server, connect(server.url) as client:
        path = client.jobs.download("j", tmp_path / "a.mp4")
    assert path.read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in server.asked[1:]] == [None, "bytes=4000-", "bytes=7000-"]
    assert [asked.headers.get("if-range") for asked in server.asked[2:]] == [f'"{RESULT["sha256"]}"'] * 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_download_of_an_earlier_process_is_gone_on_with(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / ".a.mp4.j.part").write_bytes(CONTENT[:5000])
    with scripted(DONE, rest(5000)) as server, connect(server.url) as client:
        assert client.jobs.download("j", tmp_path / "a.mp4").read_bytes() == CONTENT
    assert server.asked[1].headers["range"] == "bytes=5000-"


def test_what_lay_there_and_was_no_beginning_is_thrown_away(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / ".a.mp4.j.part").write_bytes(b"x" * 5000)
    with scripted(DONE, rest(5000), Scripted(body=CONTENT)) as server, connect(server.url) as client:
        assert client.jobs.download("j", tmp_path / "a.mp4").read_bytes() == CONTENT
    assert "range" not in server.asked[2].headers


def test_a_server_without_ranges_sends_the_whole_again(connect: Connect, tmp_path: Path) -> None:
    script = (DONE, Scripted(body=CONTENT[:4000], cut=True), Scripted(body=CONTENT))
    with scripted(*script) as server, connect(server.url) as client:
        assert client.jobs.download("j", tmp_path / "a.mp4").read_bytes() == CONTENT
    assert server.asked[2].headers["range"] == "bytes=4000-"


def test_a_file_that_is_another_is_not_kept(connect: Connect, tmp_path: Path) -> None:
    with (
        scripted(DONE, Scripted(body=CONTENT[::-1])) as server,
        connect(server.url) as client,
        pytest.raises(UnexpectedAnswer, match="digest"),
    ):
        client.jobs.download("j", tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_runs_has_no_result_yet(connect: Connect, tmp_path: Path) -> None:
    with scripted(asked_for("running")) as server, connect(server.url) as client, pytest.raises(JobNotReady):
        client.jobs.download("j", tmp_path / "a.mp4")
