"""Many requests at once, hostile ones among them: every answer exact, memory flat, and no place lost."""

import random
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from service.admission import predicted_peak_bytes
from service.codecs import EncodeOptions, read_header
from tests import oracles
from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, bomb, pixels

SIZES = [(1, 1), (5, 90), (64, 64), (65, 65), (100, 40), (130, 130)]


def head(path: str, length: int, request_id: str = "raw") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"X-Request-ID: {request_id}", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def take_a_place(connection: socket.socket, path: str, length: int) -> None:
    """Begin an upload, and return when the server waits for its body."""
    connection.sendall(head(path, length).replace(b"Host:", b"Expect: 100-continue\r\nHost:"))
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"


def status_logged(server: LiveServer, request_id: str) -> int | None:
    statuses = [line["status"] for line in server.lines() if line["request_id"] == request_id]
    return statuses[0] if statuses else None


def test_mixed_requests_at_once_are_all_exact(live_server: LiveServer, client: httpx2.Client) -> None:
    def upscale(index: int) -> bool:
        model, scale = (("nearest", 2), ("nearest", 3), ("nearest", 4), ("blur", 2))[index % 4]
        lr = pixels(*SIZES[index % len(SIZES)], channels=4 if index % 5 == 0 else 3, seed=index)
        lr[..., 3:] |= 1  # nothing wholly transparent, so no colour is hidden
        expected = oracles.blur(lr, scale) if model == "blur" else oracles.nearest(lr, scale)
        answer = client.post("/upscale", params={"model": model, "scale": str(scale)}, content=as_file(lr))
        return answer.status_code == 200 and np.array_equal(as_pixels(answer.content), expected)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(upscale, range(96)))


def test_memory_stays_flat_over_hundreds_of_requests_and_bombs(launch: Launch) -> None:
    server = launch(max_tile=64)
    picture, broken = as_file(pixels(200, 200)), as_file(pixels(200, 200))[:5000]

    def one_round(client: httpx2.Client) -> Counter[int]:
        statuses: Counter[int] = Counter()
        for index in range(30):
            for content in (picture, broken, bomb(30_000 + index, 30_000), bytes(1_000_000)):
                statuses[client.post("/upscale?model=nearest&scale=2", content=content).status_code] += 1
        return statuses

    with server.client() as client:
        one_round(client)  # pools and caches fill
        before = server.resident_bytes()
        for _ in range(3):
            assert one_round(client) == {200: 30, 422: 60, 415: 30}
        assert server.resident_bytes() - before < 24 * 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(("name", "scale"), [("png", 2), ("jpeg", 2), ("webp", 2), ("jpeg", 1.6), ("webp", 1.6)])
def test_an_upscale_takes_no_more_memory_than_it_was_admitted_for(launch: Launch, name: str, scale: float) -> None:
    server = launch(max_tile=128)
    rows = np.add.outer(np.arange(1500), np.arange(2000))[..., None]
    content = as_file(((rows + pixels(1500, 2000, below=16)) % 256).astype(np.uint8), "BMP")
    options = EncodeOptions(name)
    header = read_header(content)
    with server.client() as client:
        path = f"/upscale?model=nearest&scale={scale}&format={name}"
        client.post(path, content=as_file(pixels(200, 200)))
        before = server.peak_bytes()
        assert client.post(path, content=content).status_code == 200
    predicted = predicted_peak_bytes(
        header,
        options,
        network_pixels=4 * header.pixels,
        answer_pixels=round(1500 * scale) * round(2000 * scale),
        body_bytes=len(content),
    )
    assert server.peak_bytes() - before < predicted + 16 * 2**20


def test_a_bomb_is_refused_quickly(client: httpx2.Client) -> None:
    contents = [bomb(100_000, 100_000 + index) for index in range(20)]
    started = time.monotonic()
    for content in contents:
        assert client.post("/upscale?model=nearest&scale=2", content=content).status_code == 422
    assert (time.monotonic() - started) / len(contents) < 0.25


def test_thousands_of_damaged_files_are_never_our_fault(live_server: LiveServer, client: httpx2.Client) -> None:
    chance = random.Random(5)
    lr = pixels(12, 10, channels=4)
    options: dict[str, dict[str, Any]] = {
        "PNG": {},
        "WEBP": {"lossless": True},
        "AVIF": {"speed": 10},
        "TIFF": {"compression": "tiff_lzw"},
        "BMP": {},
    }
    seeds = [as_file(lr, name, **chosen) for name, chosen in options.items()] + [as_file(lr[..., :3], "JPEG")]

    def mutated(seed: bytes) -> bytes:
        content = bytearray(seed)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            kind = chance.randrange(4)
            at = chance.randrange(len(content)) if content else 0
            if kind == 0 and content:
                content[at] = chance.randrange(256)
            elif kind == 1:
                del content[at:]
            elif kind == 2:
                del content[at : at + chance.randrange(1, 9)]
            else:
                content[at:at] = chance.randbytes(chance.randrange(1, 9))
        return bytes(content)

    contents = [mutated(chance.choice(seeds)) for _ in range(3000)]

    def send(content: bytes) -> int:
        return client.post("/upscale?model=nearest&scale=2&format=png", content=content).status_code

    before = live_server.resident_bytes()
    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(pool.map(send, contents))
    assert set(statuses) <= {200, 400, 415, 422}, statuses
    assert statuses[422] > 300
    assert statuses[200] > 50
    assert live_server.resident_bytes() - before < 100 * 2**20


def test_more_requests_than_places_are_told_when_to_come_back(launch: Launch) -> None:
    server = launch(max_requests=1)
    path = "/upscale?model=nearest&scale=2"
    picture = as_file(pixels(3, 3))
    with server.client() as client, server.connect() as slow:
        take_a_place(slow, path, 1000)
        answer = client.post(path, content=picture)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["limit"], answer.json()["actual"]) == ("overloaded", 1, 2)
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) == answer.json()["retry_after_s"] >= 1
        slow.close()
        assert eventually(lambda: client.post(path, content=picture).status_code == 200)


def test_more_bytes_than_there_is_room_for_are_refused_before_they_are_decoded(launch: Launch) -> None:
    server = launch(max_memory_bytes=2_000_000, max_body_bytes=2_000_000)
    with server.client() as client:
        path = "/upscale?model=nearest&scale=2"
        assert client.post(path, content=as_file(pixels(50, 50))).status_code == 200
        never = client.post(path, content=as_file(np.zeros((1000, 1000, 3), np.uint8)))
        assert (never.status_code, never.json()["code"]) == (422, "output-too-large")
        assert never.json()["actual"] > never.json()["limit"] == 2_000_000
        with server.connect() as slow:
            take_a_place(slow, path, 1_990_000)
            assert client.post(path, content=as_file(pixels(50, 50))).status_code == 429


def test_a_body_that_trickles_is_cut_off(launch: Launch) -> None:
    server = launch(body_timeout_s=0.7)
    with server.connect() as connection:
        connection.sendall(head("/upscale?model=nearest&scale=2", 1000))
        started = time.monotonic()
        received = b""
        connection.settimeout(0.1)
        while not received and time.monotonic() - started < 10:
            try:
                received = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"x")  # something always comes: it is the whole body that has a limit
        assert 0.5 < time.monotonic() - started < 8
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in received


def test_a_client_that_goes_away_while_it_uploads_is_logged_as_499(live_server: LiveServer) -> None:
    with live_server.connect() as connection:
        connection.sendall(head("/upscale?model=nearest&scale=2", 1000, "left-early") + b"x")
        time.sleep(0.2)
    assert eventually(lambda: status_logged(live_server, "left-early") == 499)


def test_a_client_that_goes_away_frees_the_device_and_its_place(launch: Launch) -> None:
    server = launch(max_tile=16, max_requests=1, deadline_s=3600)  # tens of thousands of tiles, and one place
    content = as_file(pixels(2000, 2000))
    with server.connect() as connection, server.client() as client:
        connection.sendall(head("/upscale?model=blur&scale=2", len(content), "went-away") + content)
        small = as_file(pixels(3, 3))
        assert eventually(lambda: client.post("/upscale?model=blur&scale=2", content=small).status_code == 429)
        time.sleep(0.5)  # well into its tiles
        assert status_logged(server, "went-away") is None, "the picture was too small for this test"
        connection.close()
        left = time.monotonic()
        assert eventually(lambda: client.post("/upscale?model=blur&scale=2", content=small).status_code == 200)
        assert time.monotonic() - left < 4
        assert status_logged(server, "went-away") == 499
