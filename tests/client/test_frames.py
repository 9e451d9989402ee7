"""Clips against the running service: streamed both ways, in order, read no further ahead than is bounded."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from srserve_client import AsyncClient, Client, ConnectionFailed, DeadlineExpired, FailedFrame, Frame, UnexpectedAnswer
from srserve_client.problems import BadParameter, BodyTimeout, MissingFile, Overloaded, UnknownModel
from srserve_client.testing import FakeService
from tests import oracles
from tests.client.conftest import Connect
from tests.client.scripted import Scripted, scripted
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, format_of, pixels
from tests.service.routes.test_frames import clip_of, expected_clip

CLIP = clip_of(12)
NEAREST: dict[str, Any] = {"model": "nearest", "scale": 2}


def arrays(frames: Any) -> list[Any]:  # noqa: ANN401 - the frames of either client
    return [frame.unwrap().array() for frame in frames]


# --- the whole clip


def test_a_clip_comes_back_larger_in_order_and_with_a_summary(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        answer = client.upscale_frames(CLIP, model="clip", scale=2)
        frames = list(answer)
    assert [frame.index for frame in frames] == list(range(12))
    assert all(np.array_equal(got, due) for got, due in zip(arrays(frames), expected_clip(CLIP), strict=True))
    summary = answer.summary
    assert (summary.frames, summary.succeeded, summary.failed, summary.cuts) == (12, 12, 0, ())
    assert (summary.model, summary.scale, summary.device) == ("clip", 2, "cpu")
    line = next(line for line in live_server.lines() if line["request_id"] == answer.request_id)
    assert line["frames"] == 12


def test_parameters_reach_the_service(connect: Connect, live_server: LiveServer) -> None:
    cut = [*clip_of(3), *[255 - frame for frame in clip_of(3)]]
    with connect(live_server.url) as client:
        seen = client.upscale_frames(cut, model="clip", scale=2, format="webp", quality=100)
        assert {format_of(frame.content) for frame in seen} == {"WEBP"}
        blind = client.upscale_frames(cut, model="clip", scale=2, scene_detection="off")
        list(blind)
    assert seen.summary.cuts == (3,)
    assert blind.summary.cuts == ()


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_may_be_short(connect: Connect, live_server: LiveServer, count: int) -> None:
    with connect(live_server.url) as client:
        assert len(arrays(client.upscale_frames(CLIP[:count], model="clip", scale=2))) == count


def test_a_frame_that_cannot_be_made_fails_alone(connect: Connect, live_server: LiveServer) -> None:
    given: list[Any] = [as_file(frame) for frame in CLIP[:4]]
    given[1] = given[1][:80]
    with connect(live_server.url) as client:
        answer = client.upscale_frames(given, **NEAREST)
        frames = list(answer)
    assert [type(frame) for frame in frames] == [Frame, FailedFrame, Frame, Frame]
    assert frames[1].error.code == "undecodable-image"
    with pytest.raises(type(frames[1].error)):
        frames[1].unwrap()
    assert (answer.summary.succeeded, answer.summary.failed) == (3, 1)


# --- streamed both ways


def test_a_frame_is_answered_before_the_next_one_is_there(connect: Connect, live_server: LiveServer) -> None:
    """Each frame is given when the one before it has come back; at the end the form needs no further frame."""
    answered = threading.Semaphore(0)

    def camera() -> Iterator[Any]:
        for frame in CLIP[:4]:
            yield frame
            assert answered.acquire(timeout=60)

    with connect(live_server.url) as client:
        answer = client.upscale_frames(camera(), **NEAREST)
        for index, frame in enumerate(answer):
            assert np.array_equal(frame.array(), oracles.nearest(CLIP[index], 2))
            answered.release()
    assert (answer.summary.frames, answer.summary.succeeded, answer.summary.failed) == (4, 4, 0)


@pytest.mark.parametrize("look_ahead", [1, 3])
def test_the_clip_is_read_no_further_ahead_than_allowed(
    connect: Connect, live_server: LiveServer, look_ahead: int
) -> None:
    taken = 0

    def endless() -> Iterator[Any]:
        nonlocal taken
        while True:
            taken += 1
            yield CLIP[taken % 12]

    with (
        connect(live_server.url) as client,
        client.upscale_frames(endless(), look_ahead=look_ahead, **NEAREST) as answer,
    ):
        frames = iter(answer)
        for done in range(1, 30):
            next(frames)
            assert taken <= done + look_ahead + 2  # one is sent, one waits for room
    assert eventually(lambda: any(line["request_id"] == answer.request_id for line in live_server.lines()))


def test_ten_times_the_look_ahead_goes_through(connect: Connect, live_server: LiveServer) -> None:
    def long() -> Iterator[Any]:
        for seed in range(320):
            yield pixels(8, 8, seed=seed)

    with connect(live_server.url) as client:
        answer = client.upscale_frames(long(), **NEAREST)
        assert sum(1 for _ in answer) == 320
    assert answer.summary.succeeded == 320


def test_an_async_iterator_may_give_the_frames(live_server: LiveServer) -> None:
    async def camera() -> AsyncIterator[Any]:
        for frame in CLIP[:3]:
            await asyncio.sleep(0.02)
            yield frame

    async def run() -> list[int]:
        async with AsyncClient(live_server.url) as client:
            return [frame.index async for frame in client.upscale_frames(camera(), **NEAREST)]

    assert asyncio.run(run()) == [0, 1, 2]


# --- what goes wrong


def test_what_the_service_refuses_is_raised_before_a_frame_is_read(connect: Connect, live_server: LiveServer) -> None:
    taken: list[int] = []

    def clip() -> Iterator[Any]:
        for index in range(3):
            taken.append(index)
            yield CLIP[index]

    with connect(live_server.url) as client:
        with pytest.raises(UnknownModel) as raised:
            list(client.upscale_frames(clip(), model="none", scale=2))
        with pytest.raises(BadParameter):
            list(client.upscale_frames(clip(), model="nearest", scale=2, quality=0))
    assert taken == []
    assert raised.value.request_id is not None


def test_no_frames_are_a_refusal_of_the_service(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client, pytest.raises(MissingFile):
        list(client.upscale_frames([], **NEAREST))


def test_an_error_of_the_callers_iterator_ends_the_clip_and_is_raised(
    connect: Connect, live_server: LiveServer
) -> None:
    def broken() -> Iterator[Any]:
        yield from CLIP[:5]
        raise RuntimeError("the camera fell")

    with connect(live_server.url) as client:
        answer = client.upscale_frames(broken(), **NEAREST)
        with pytest.raises(RuntimeError, match="the camera fell"):
            list(answer)
    assert answer.summary is None


def test_what_is_no_picture_is_a_mistake_of_type(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client, pytest.raises(TypeError, match="no picture"):
        list(client.upscale_frames([CLIP[0], 7], **NEAREST))


def test_a_clip_that_ends_too_early_raises_why_after_the_frames_that_came(connect: Connect, launch: Launch) -> None:
    server = launch(body_timeout_s=1)

    def stalled() -> Iterator[Any]:
        yield from CLIP[:2]
        time.sleep(3)
        yield CLIP[2]

    with connect(server.url) as client:
        answer = client.upscale_frames(stalled(), **NEAREST)
        frames = iter(answer)
        assert [next(frames).index, next(frames).index] == [0, 1]
        with pytest.raises(BodyTimeout) as raised:
            next(frames)
    assert raised.value.request_id is not None


def test_a_full_service_is_asked_again_before_a_frame_is_read(connect: Connect) -> None:
    full = Scripted(
        429,
        {"Content-Type": "application/problem+json", "Retry-After": "0"},
        b'{"code": "overloaded", "status": 429, "detail": "full", "retryable": true}',
    )
    with scripted(full) as server, connect(server.url, retries=2) as client, pytest.raises(Overloaded) as raised:
        list(client.upscale_frames(CLIP, **NEAREST))
    assert raised.value.attempts == 3
    assert len(server.asked) == 3


def test_an_answer_that_is_no_clip_is_unexpected(connect: Connect) -> None:
    with (
        scripted(Scripted(200, {"Content-Type": "text/html"}, b"<html>")) as server,
        connect(server.url) as client,
        pytest.raises(UnexpectedAnswer, match="text/html"),
    ):
        list(client.upscale_frames(CLIP, **NEAREST))


def test_a_port_where_nobody_listens_is_a_failed_connection(connect: Connect) -> None:
    with scripted(Scripted()) as server:
        pass
    with connect(server.url, retries=1) as client, pytest.raises(ConnectionFailed) as raised:
        list(client.upscale_frames(CLIP, **NEAREST))
    assert (raised.value.sent_nothing, raised.value.attempts) == (True, 2)


def test_an_answer_that_does_not_come_ends_with_the_timeout(connect: Connect) -> None:
    never = threading.Event()
    with scripted(Scripted(wait=never)) as server, connect(server.url) as client:
        with pytest.raises(DeadlineExpired):
            list(client.upscale_frames(CLIP[:1], timeout=0.5, **NEAREST))
        never.set()


def test_a_look_ahead_of_nothing_is_a_mistake(connect: Connect) -> None:
    with connect("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="look_ahead"):
        client.upscale_frames(CLIP, look_ahead=0, **NEAREST)


def test_a_clip_that_is_left_early_frees_the_service(live_server: LiveServer) -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield CLIP[0]

    with Client(live_server.url) as client:
        with client.upscale_frames(endless(), **NEAREST) as answer:
            next(answer)
        threads = [thread.name for thread in threading.enumerate()]
    assert "srserve-client-clip" not in threads
    assert eventually(
        lambda: any(
            line["request_id"] == answer.request_id and line["code"] == "client-closed" for line in live_server.lines()
        )
    )


def test_a_key_and_headers_go_with_a_clip(connect: Connect) -> None:
    with (
        scripted(Scripted(401, {"Content-Type": "text/plain"}, b"no")) as server,
        connect(f"{server.url}/sr", api_key="k", headers={"X-Tenant": "t"}) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        list(client.upscale_frames(CLIP, **NEAREST))
    asked = server.asked[0]
    assert asked.path == "/sr/upscale/frames?model=nearest&scale=2"
    assert (asked.headers["authorization"], asked.headers["x-tenant"]) == ("Bearer k", "t")


def test_through_a_transport_the_whole_clip_is_sent_first(connect: Connect) -> None:
    with connect(transport=FakeService().transport) as client:
        answer = client.upscale_frames(CLIP[:3], model="edsr", scale=2)
        frames = list(answer)
    assert all(np.array_equal(got, oracles.nearest(lr, 2)) for got, lr in zip(arrays(frames), CLIP, strict=False))
    assert answer.summary.frames == 3
