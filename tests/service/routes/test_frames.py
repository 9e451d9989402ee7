"""POST /upscale/frames over a real server: streamed both ways, exact, in order, in little memory."""

import io
import json
import socket
import threading
import time
import zipfile
from functools import partial
from typing import Any

import httpx2
import imagecodecs
import numpy as np
import pytest

from tests import oracle_kinds, oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import Pixels, as_file, as_pixels, bomb, format_of, pixels
from tests.service.routes.asking import problem
from tests.service.routes.duplex import END, FORM_TYPE, Exchange, ReceivedPart, form, part, parts_of

SIZE = (24, 40)


def clip_of(count: int, *, size: tuple[int, int] = SIZE, channels: int = 3) -> list[Pixels]:
    """Frames that look alike to the eye of the cut detector, and are all different."""
    still = pixels(*size, channels=channels, seed=99, below=200)
    return [(still + pixels(*size, channels=channels, seed=seed, below=8)).astype(np.uint8) for seed in range(count)]


def expected_clip(frames: list[Pixels]) -> list[Pixels]:
    """What the model `clip` makes of one shot."""
    last = len(frames) - 1
    windows = [[frames[max(at - 1, 0)], frames[at], frames[min(at + 1, last)]] for at in range(len(frames))]
    return [oracle_kinds.clip(np.stack(window), 2) for window in windows]


def ask(
    client: httpx2.Client,
    content: bytes,
    *,
    model: str = "nearest",
    headers: dict[str, str] | None = None,
    **query: str,
) -> httpx2.Response:
    return client.post(
        "/upscale/frames",
        params={"model": model, "scale": "2"} | query,
        content=content,
        headers={"Content-Type": FORM_TYPE} | (headers or {}),
    )


def answered(answer: httpx2.Response) -> tuple[list[ReceivedPart], dict[str, Any]]:
    """The frames' parts, and the summary."""
    assert answer.status_code == 200, answer.text
    *frames, summary = parts_of(answer.headers["content-type"], answer.content)
    assert summary.headers["content-type"] == "application/json"
    return frames, summary.document


def files(frames: list[Pixels]) -> bytes:
    return form([as_file(frame) for frame in frames])


# --- good clips


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_a_clip_goes_through_a_network_that_looks_at_neighbours(client: httpx2.Client, count: int) -> None:
    frames = clip_of(count)
    found, summary = answered(ask(client, files(frames), model="clip"))
    assert [frame.index for frame in found] == list(range(count))
    for frame, wanted in zip(found, expected_clip(frames), strict=True):
        assert frame.headers["content-type"] == "image/png"
        assert np.array_equal(as_pixels(frame.content), wanted)
    assert summary == {
        "frames": count,
        "succeeded": count,
        "failed": 0,
        "cuts": [],
        "complete": True,
        "model": "clip",
        "model_version": summary["model_version"],
        "scale": 2,
        "device": "cpu",
    }


@pytest.mark.parametrize("model", ["nearest", "blur"])
def test_a_network_that_takes_pictures_serves_frames_too(client: httpx2.Client, model: str) -> None:
    frames = clip_of(7, size=(70, 90))  # two tiles
    found, _ = answered(ask(client, files(frames), model=model))
    for frame, lr in zip(found, frames, strict=True):
        wanted = oracles.blur(lr, 2) if model == "blur" else oracles.nearest(lr, 2)
        assert np.array_equal(as_pixels(frame.content), wanted)


def test_frames_are_tiled_like_pictures(client: httpx2.Client) -> None:
    frames = clip_of(4, size=(100, 150))
    found, _ = answered(ask(client, files(frames), model="clip"))
    for frame, wanted in zip(found, expected_clip(frames), strict=True):
        assert np.array_equal(as_pixels(frame.content), wanted)


def test_alpha_and_sixteen_bits_go_through_the_window_as_well(client: httpx2.Client) -> None:
    frames = clip_of(5, channels=4)
    for frame in frames:
        frame[..., 3] |= 1  # nothing wholly transparent, so no colour is hidden
    found, _ = answered(ask(client, files(frames), model="clip"))
    assert [np.array_equal(as_pixels(f.content), w) for f, w in zip(found, expected_clip(frames), strict=True)] == [
        True
    ] * 5
    wide = [np.random.default_rng(seed).integers(0, 2**16, (*SIZE, 3), dtype=np.uint16) for seed in range(4)]
    content = form([bytes(imagecodecs.png_encode(frame)) for frame in wide])
    found, _ = answered(ask(client, content, model="clip", scene_detection="off"))
    for answer, wanted in zip(found, expected_clip(wide), strict=True):
        assert np.array_equal(imagecodecs.png_decode(answer.content), wanted)


def test_an_opaque_frame_beside_a_transparent_one_has_a_full_alpha(client: httpx2.Client) -> None:
    frames = clip_of(3, channels=4)
    for frame in frames:
        frame[..., 3] |= 1
    opaque = [frames[0][..., :3], frames[1], frames[2][..., :3]]
    found, _ = answered(ask(client, files(opaque), model="clip"))
    full = [np.dstack([frame[..., :3], np.full(SIZE, 255, np.uint8)]) for frame in frames]
    wanted = oracle_kinds.clip(np.stack([full[0], frames[1], full[2]]), 2)
    assert np.array_equal(as_pixels(found[1].content), wanted)
    assert as_pixels(found[0].content).shape[2] == 3


def test_format_and_quality_are_those_asked_for(client: httpx2.Client) -> None:
    found, _ = answered(ask(client, files(clip_of(3)), format="jpeg", quality="90"))
    assert {format_of(frame.content) for frame in found} == {"JPEG"}
    assert {frame.headers["content-disposition"] for frame in found} == {
        f'attachment; filename="00000{number}.jpeg"' for number in range(3)
    }


def test_a_zip_holds_the_same_files(client: httpx2.Client) -> None:
    content = files(clip_of(4))
    found, summary = answered(ask(client, content, model="clip"))
    answer = ask(client, content, model="clip", headers={"Accept": "application/zip, multipart/mixed;q=0.5"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == [f"00000{number}.png" for number in range(4)] + ["summary.json"]
        assert [archive.read(name) for name in names[:-1]] == [frame.content for frame in found]
        assert json.loads(archive.read("summary.json")) == summary


# --- cuts


def test_a_cut_is_not_blended_unless_it_is_asked_for(client: httpx2.Client) -> None:
    first = clip_of(4)
    second = [255 - frame for frame in clip_of(5)]
    content = files(first + second)
    found, summary = answered(ask(client, content, model="clip"))
    wanted = expected_clip(first) + expected_clip(second)
    assert [np.array_equal(as_pixels(f.content), w) for f, w in zip(found, wanted, strict=True)] == [True] * 9
    assert summary["cuts"] == [4]
    found, summary = answered(ask(client, content, model="clip", scene_detection="off"))
    blended = expected_clip(first + second)
    assert [np.array_equal(as_pixels(f.content), w) for f, w in zip(found, blended, strict=True)] == [True] * 9
    assert summary["cuts"] == []


# --- streaming


def test_the_first_answer_leaves_before_the_last_frame_has_come(live_server: LiveServer) -> None:
    frames = clip_of(40)
    wanted = expected_clip(frames)
    with Exchange(live_server, "model=clip&scale=2") as exchange:
        exchange.begin()
        for frame in frames[:3]:
            exchange.send_frame(as_file(frame))
        exchange.read_head()
        received = exchange.parts()
        for number, frame in enumerate(frames[3:]):  # each frame in lets one out, with 2 for the window under way
            answer = next(received)
            assert answer.index == number
            assert np.array_equal(as_pixels(answer.content), wanted[number])
            exchange.send_frame(as_file(frame), last=number == 36)
        rest = list(received)
    assert [answer.index for answer in rest] == [37, 38, 39, None]
    assert rest[-1].document["succeeded"] == 40


def test_a_client_that_does_not_read_is_not_read_from(launch: Launch) -> None:
    """Back-pressure: the sender is held up after some buffers are full, long before its whole clip is in."""
    server = launch(max_tile=64)
    frame = as_file(pixels(200, 200))
    sent = 0
    stalled = threading.Event()
    with Exchange(server, "model=nearest&scale=2") as exchange:
        exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        exchange.begin()
        before = server.resident_bytes()

        def send() -> None:
            nonlocal sent
            for number in range(400):
                exchange.send_frame(frame, last=number == 399)
                sent += 1

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        last = -1
        while not stalled.is_set():
            time.sleep(1.0)
            if sent == last:
                stalled.set()
            last = sent
        assert sent < 250, "the sender was never held up"
        assert server.resident_bytes() - before < 60 * 2**20
        exchange.read_head()  # and when it reads, everything goes on
        indexes = [answer.index for answer in exchange.parts()]
        sender.join(60)
    assert indexes == [*range(400), None]
    assert sent == 400


def test_ten_thousand_frames_take_no_more_memory_than_a_hundred(launch: Launch) -> None:
    server = launch()
    frame = as_file(pixels(8, 8))

    def run(count: int) -> int:
        with Exchange(server, "model=clip&scale=2&format=png") as exchange:

            def send() -> None:
                for _ in range(count // 50):
                    exchange.send(part(frame) * 50)
                exchange.end()

            sender = threading.Thread(target=send)
            sender.start()
            exchange.read_head()
            received = sum(answer.index is not None for answer in exchange.parts())
            sender.join()
        assert received == count
        return server.resident_bytes()

    run(500)
    before = run(500)
    assert run(10_000) - before < 8 * 2**20


def test_a_client_that_goes_away_frees_its_place(launch: Launch) -> None:
    server = launch(max_requests=1, max_tile=16)
    with server.client() as client:
        for complete in (False, True):
            exchange = Exchange(server, "model=blur&scale=2", request_id=f"left-{complete}")
            if complete:
                exchange.send(form([as_file(pixels(500, 500))] * 3))
                exchange.socket.sendall(b"0\r\n\r\n")
            else:
                exchange.begin()
                exchange.send_frame(as_file(pixels(500, 500)))
            assert eventually(lambda: ask(client, files(clip_of(1))).status_code == 429)
            exchange.close()
            assert eventually(lambda: ask(client, files(clip_of(1))).status_code == 200)
            assert eventually(partial(_was_left, server, f"left-{complete}"))


def _was_left(server: LiveServer, request_id: str) -> bool:
    return 499 in [line["status"] for line in server.lines() if line["request_id"] == request_id]


# --- bad frames


def test_a_damaged_frame_is_a_problem_and_its_neighbours_are_made_without_it(client: httpx2.Client) -> None:
    frames = clip_of(6)
    parts = [as_file(frame) for frame in frames]
    parts[2] = parts[2][:-30]
    parts[5] = b"no picture"
    found, summary = answered(ask(client, form(parts), model="clip"))
    wanted = dict(zip((0, 1, 3, 4), expected_clip([frames[n] for n in (0, 1, 3, 4)]), strict=True))
    assert [frame.index for frame in found] == list(range(6))
    for index, picture in wanted.items():
        assert np.array_equal(as_pixels(found[index].content), picture)
    for index, code, status in ((2, "undecodable-image", 422), (5, "unsupported-media", 415)):
        assert found[index].headers["content-type"] == "application/problem+json"
        document = found[index].document
        assert (document["code"], document["status"], document["frame"]) == (code, status, index)
    assert (summary["succeeded"], summary["failed"], summary["complete"]) == (4, 2, True)


def test_a_frame_of_another_size_or_depth_is_a_problem(client: httpx2.Client) -> None:
    frames = [as_file(frame) for frame in clip_of(3)]
    wide = bytes(imagecodecs.png_encode(np.zeros((*SIZE, 3), np.uint16)))
    found, _ = answered(ask(client, form([frames[0], as_file(pixels(24, 41)), wide, frames[1]])))
    assert [frame.document["code"] for frame in found[1:3]] == ["frame-mismatch"] * 2
    assert found[1].document["expected"] == {"width": 40, "height": 24, "bits": 8}
    assert found[1].document["actual"] == {"width": 41, "height": 24, "bits": 8}
    assert found[3].headers["content-type"] == "image/png"


def test_the_first_good_frame_decides_for_the_clip(client: httpx2.Client) -> None:
    frames = clip_of(2)
    found, _ = answered(ask(client, form([b"damaged", *[as_file(frame) for frame in frames]])))
    assert [frame.headers["content-type"] for frame in found] == [
        "application/problem+json",
        "image/png",
        "image/png",
    ]


def test_a_bomb_and_a_frame_that_breaks_the_network_are_problems(client: httpx2.Client) -> None:
    good, poisoned = np.zeros((5, 5, 3), np.uint8), np.full((5, 5, 3), oracles.POISON, np.uint8)
    content = form([as_file(good), bomb(30_000, 30_000), as_file(poisoned), as_file(good)])
    found, summary = answered(ask(client, content, model="poison"))
    assert [frame.document["code"] for frame in found[1:3]] == ["too-many-pixels", "inference-failed"]
    assert summary["succeeded"] == 2


def test_a_frame_above_the_limit_of_bytes_is_a_problem(launch: Launch) -> None:
    server = launch(max_body_bytes=5000)
    with server.client() as client:
        small, large = as_file(pixels(20, 20)), as_file(pixels(60, 60))
        found, _ = answered(ask(client, form([small, large, small])))
        assert (found[1].document["code"], found[1].document["limit"]) == ("body-too-large", 5000)
        assert found[2].headers["content-type"] == "image/png"


# --- bad requests


@pytest.mark.parametrize(
    ("content", "query", "headers", "status", "code"),
    [
        (files(clip_of(1)), {"model": "nothing"}, {}, 404, "unknown-model"),
        (files(clip_of(1)), {"scale": "9"}, {}, 422, "unsupported-scale"),
        (files(clip_of(1)), {"scene_detection": "maybe"}, {}, 422, "bad-parameter"),
        (files(clip_of(1)), {"width": "9"}, {}, 422, "bad-parameter"),
        (files(clip_of(1)), {"format": "gif"}, {}, 422, "bad-parameter"),
        (files(clip_of(1)), {"model": "degrading", "scale": "3"}, {}, 422, "wrong-endpoint"),
        (files(clip_of(1)), {}, {"Accept": "image/png"}, 406, "not-acceptable"),
        (as_file(pixels(3, 3)), {}, {"Content-Type": "image/png"}, 415, "unsupported-media"),
        (END, {}, {}, 400, "missing-file"),
        (part(as_file(pixels(3, 3)), "file") + END, {}, {}, 400, "missing-file"),
        (b"no form", {}, {}, 400, "malformed-multipart"),
    ],
)
def test_what_is_wrong_before_the_first_frame_is_the_answer(
    client: httpx2.Client, content: bytes, query: dict[str, Any], headers: dict[str, str], status: int, code: str
) -> None:
    problem(ask(client, content, headers=headers, **query), status, code)


def test_what_goes_wrong_in_the_middle_ends_the_clip_with_a_problem_and_a_summary(client: httpx2.Client) -> None:
    frames = clip_of(3)
    content = files(frames).removesuffix(END) + b"--limit\r\nno header at all\r\n\r\n"
    found, summary = answered(ask(client, content, model="clip"))
    assert [frame.index for frame in found] == [0, 1, None]
    assert found[-1].document["code"] == "malformed-multipart"
    assert (summary["complete"], summary["succeeded"]) == (False, 2)


def test_more_frames_than_allowed_end_the_clip(launch: Launch) -> None:
    server = launch(max_frames=3)
    with server.client() as client:
        found, summary = answered(ask(client, files(clip_of(5))))
        assert [frame.index for frame in found] == [0, 1, 2, None]
        assert (found[-1].document["code"], found[-1].document["limit"]) == ("too-many-parts", 3)
        assert summary["complete"] is False


def test_a_clip_without_room_is_told_to_come_back(launch: Launch) -> None:
    server = launch(max_memory_bytes=1_000_000, max_body_bytes=200_000)
    with server.client() as client:
        found, _ = answered(ask(client, form([as_file(np.zeros((600, 600, 3), np.uint8))])))
        assert found[0].document["code"] == "output-too-large"  # there will never be room for it
        with Exchange(server, "model=nearest&scale=2") as other:
            other.begin()
            other.send_frame(as_file(pixels(110, 110)))
            other.read_head()
            assert problem(ask(client, files(clip_of(1, size=(110, 110)))), 429, "overloaded")["limit"] == 1_000_000


def test_a_sender_that_falls_silent_is_cut_off(launch: Launch) -> None:
    server = launch(body_timeout_s=0.7)
    with Exchange(server, "model=nearest&scale=2") as exchange:
        exchange.begin()
        exchange.send_frame(as_file(pixels(5, 5)))
        exchange.read_head()
        received = list(exchange.parts())
    assert [answer.index for answer in received] == [0, None, None]
    assert received[1].document["code"] == "body-timeout"
    assert received[2].document["complete"] is False


def test_the_log_says_what_came_of_a_clip(live_server: LiveServer, client: httpx2.Client) -> None:
    content = form([as_file(clip_of(1)[0]), b"x"])
    ask(client, content, headers={"X-Request-ID": "clip-log"})
    (line,) = [line for line in live_server.lines() if line["request_id"] == "clip-log"]
    assert (line["status"], line["frames"], line["frames_failed"], line["tiles"]) == (200, 2, 1, 1)
    assert line["input_pixels"] == 24 * 40
    assert set(line["stages"]) == {"decode", "queue", "infer", "encode"}
