"""What comes before any application sees it: heads that are no HTTP, too long or too slow, and bodies nobody reads."""

import json
import socket
import time
from typing import Any

import pytest

from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, pixels

REFUSED_UPLOAD = b"POST /upscale?model=nearest&scale=2 HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000000\r\n"


def receive_all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def receive_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer that declares its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return int(status.split()[1]), headers, body


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    assert chunk, "the server closed before its answer was complete"
    return chunk


def _takes(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        return False
    return True


def problem(answer: tuple[int, dict[str, str], bytes], status: int) -> dict[str, Any]:
    assert answer[0] == status
    assert answer[1]["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(answer[2])
    assert answer[1]["x-request-id"] == document["instance"]
    return document


@pytest.mark.parametrize(
    "head",
    [
        b"hello\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_as_a_problem(live_server: LiveServer, head: bytes) -> None:
    with live_server.connect() as connection:
        connection.sendall(head)
        assert problem(receive_answer(connection), 400)["code"] == "bad-request"
        assert receive_all(connection) == b""


@pytest.mark.parametrize(
    "headers",
    [b"X-A: b\r\n" * 20_000, b"X-A: " + b"b" * 150_000],
    ids=["many-headers", "one-header-without-an-end"],
)
def test_too_long_a_head_is_refused_naming_the_limit(live_server: LiveServer, headers: bytes) -> None:
    with live_server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n" + headers)
        assert str(64 * 1024) in problem(receive_answer(connection), 400)["detail"]


def test_a_head_may_come_byte_by_byte(live_server: LiveServer) -> None:
    with live_server.connect() as connection:
        for byte in b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert receive_answer(connection)[0] == 200


@pytest.mark.parametrize("start", [b"", b"GET /livez HTTP/1.1\r\nHost: te"], ids=["nothing", "half-a-head"])
def test_a_head_that_does_not_come_in_time_ends_the_connection(launch: Launch, start: bytes) -> None:
    server = launch(head_timeout_s=0.4)
    with server.connect() as connection:
        connection.sendall(start)
        started = time.monotonic()
        assert receive_all(connection) == b""
        assert 0.2 < time.monotonic() - started < 10


def test_a_connection_between_two_requests_is_not_hurried(launch: Launch) -> None:
    server = launch(head_timeout_s=0.3)
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
            assert receive_answer(connection)[0] == 200
            time.sleep(0.6)


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade"])
def test_an_offer_to_speak_another_protocol_does_not_cost_the_body(live_server: LiveServer, name: bytes) -> None:
    # As Java's HttpClient begins every connection without TLS.
    content = as_file(pixels(4, 4))
    with live_server.connect() as connection:
        for _ in range(2):
            connection.sendall(
                b"POST /upscale?model=nearest&scale=2 HTTP/1.1\r\nHost: test\r\n"
                b"Connection: Upgrade, HTTP2-Settings\r\n"
                + name
                + b": h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
                + f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            status, _, body = receive_answer(connection)
            assert status == 200, body


def test_an_upload_that_is_too_large_is_refused_before_it_is_asked_for(live_server: LiveServer) -> None:
    with live_server.connect() as connection:
        connection.sendall(REFUSED_UPLOAD + b"Expect: 100-continue\r\n\r\n")
        assert problem(receive_answer(connection), 413)["actual"] == 10_000_000_000


def test_an_upload_that_is_wanted_is_asked_for(live_server: LiveServer) -> None:
    content = as_file(pixels(4, 4))
    with live_server.connect() as connection:
        connection.sendall(
            b"POST /upscale?model=nearest&scale=2 HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
            + f"Content-Length: {len(content)}\r\n\r\n".encode()
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(content)
        assert receive_answer(connection)[0] == 200


def test_who_sends_a_refused_body_nevertheless_gets_the_answer_but_not_for_ever(launch: Launch) -> None:
    server = launch(head_timeout_s=1.0)
    with server.connect() as connection:
        connection.sendall(REFUSED_UPLOAD + b"\r\n")
        for _ in range(50):
            connection.sendall(bytes(100_000))  # well after the refusal, and still no reset
        assert problem(receive_answer(connection), 413)["limit"] == 32 * 2**20
        assert eventually(lambda: not _takes(connection, bytes(100_000)), timeout_s=10)


def test_a_connection_goes_on_after_a_small_body_was_refused_unread(live_server: LiveServer) -> None:
    with live_server.connect() as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n")
        assert receive_answer(connection)[0] == 404
        connection.sendall(b"abcdeGET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
        assert receive_answer(connection)[0] == 200


def test_a_client_that_takes_nothing_more_of_its_answer_loses_its_place(launch: Launch) -> None:
    server = launch(send_timeout_s=4, max_requests=1)
    content = as_file(pixels(1500, 1500), "BMP")  # whose answer is much more than sockets hold
    path = "/upscale?model=nearest&scale=2"
    with socket.socket() as connection, server.client() as client:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(
            f"POST {path}&format=jpeg&quality=100 HTTP/1.1\r\nHost: test\r\n".encode()
            + f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        connection.settimeout(60)
        assert connection.recv(1) == b"H"  # the answer has begun; no more of it is taken
        small = as_file(pixels(2, 2))
        assert client.post(path, content=small).status_code == 429, "its place is its own while it takes the answer"
        assert eventually(lambda: client.post(path, content=small).status_code == 200, timeout_s=40)
