"""The gateway: Debian's nginx with the shipped configuration, in front of replicas that the test plays."""

import json
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from tests.conftest import eventually
from tests.deploy.conftest import Front, LiveGateway
from tests.deploy.replica import Exchange, Replica
from tests.hostile.test_connections import open_files

SLOW_POLL = 600.0  # the loop looks once, at the start: what is seen is nginx's own doing


def addresses(replicas: list[Replica]) -> list[str]:
    return [replica.address for replica in replicas]


def take_from_any(replicas: list[Replica]) -> tuple[int, Exchange]:
    """The request that one of them has got, and which one."""

    def asked() -> list[int]:
        return [index for index, replica in enumerate(replicas) if not replica.waiting.empty()]

    assert eventually(lambda: bool(asked()))
    index = asked()[0]
    return index, replicas[index].take()


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4)


def in_background(
    pool: ThreadPoolExecutor, gateway: LiveGateway, method: str, path: str, content: bytes = b""
) -> Future[httpx2.Response]:
    def send() -> httpx2.Response:
        with gateway.client() as client:
            return client.request(method, path, content=content)

    return pool.submit(send)


# --- limits and buffering


def test_a_body_over_the_limit_is_refused_before_a_replica_sees_it(front: Front, replicas: list[Replica]) -> None:
    with front(addresses(replicas)).client() as client:
        answer = client.post("/upscale?model=edsr&scale=2", content=bytes(32 * 2**20 + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"], problem["retryable"]) == ("body-too-large", 413, False)
    assert "33554433 bytes" in problem["detail"]
    assert "32m" in problem["detail"]
    assert problem["instance"] == answer.headers["x-request-id"]
    assert [replica.asked for replica in replicas] == [0, 0]


@pytest.mark.parametrize("path", ["/upscale/frames", "/jobs"])
def test_frames_and_films_may_be_larger_than_a_picture(front: Front, replicas: list[Replica], path: str) -> None:
    for replica in replicas:
        replica.always = 200
    with front(addresses(replicas)).client() as client:
        assert client.post(path, content=bytes(33 * 2**20)).status_code == 200


def test_a_picture_that_comes_slowly_takes_no_place_in_the_service(front: Front, replicas: list[Replica]) -> None:
    with front(addresses(replicas)).connect() as client:
        client.sendall(b"POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        time.sleep(0.5)
        assert [replica.asked for replica in replicas] == [0, 0]
        client.sendall(b"67890")
        _, exchange = take_from_any(replicas)
        assert exchange.read(10) == b"1234567890"
        exchange.answer(200, b"larger")
        assert client.recv(1 << 16).endswith(b"larger")


def test_frames_pass_both_ways_as_they_come(front: Front, replicas: list[Replica]) -> None:
    with front(addresses(replicas)).connect() as client:
        client.sendall(b"POST /upscale/frames HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        _, exchange = take_from_any(replicas)
        assert exchange.read(10) == b"5\r\nfirst\r\n"
        exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert receive_until(client, b"one\r\n")  # while the request is not yet complete
        client.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        exchange.read(26)
        exchange.write(b"3\r\ntwo\r\n0\r\n\r\n")
        assert receive_until(client, b"two\r\n0\r\n\r\n")
        exchange.connection.close()


def test_events_come_as_they_happen(front: Front, replicas: list[Replica]) -> None:
    with front(addresses(replicas)).connect() as client:
        client.sendall(b"GET /jobs/1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        _, exchange = take_from_any(replicas)
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: progress\n\n")
        assert receive_until(client, b"event: progress\n\n")
        exchange.connection.close()


def receive_until(client: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        chunk = client.recv(1 << 16)
        assert chunk, received
        received += chunk
    return received


IDLE = 10_000


def test_ten_thousand_idle_connections_keep_nobody_out(front: Front, replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.always = 200
    gateway = front(addresses(replicas))
    with open_files(IDLE + 500), ExitStack() as idle, gateway.client() as client:
        for _ in range(IDLE):
            idle.enter_context(gateway.connect())
        assert client.post("/upscale", content=b"picture").status_code == 200
    assert client_status(gateway) == 200


def client_status(gateway: LiveGateway) -> int:
    with gateway.client() as client:
        return client.post("/upscale", content=b"picture").status_code


# --- retries


def test_a_replica_that_refuses_connections_is_passed_over_unseen(front: Front, replicas: list[Replica]) -> None:
    gateway = front(addresses(replicas), poll_s=SLOW_POLL)
    replicas[0].close()
    replicas[1].always = 200
    with gateway.client() as client:
        statuses = [client.post("/upscale", content=b"picture").status_code for _ in range(20)]
    assert statuses == [200] * 20
    assert replicas[1].asked == 20


def test_a_picture_that_was_sent_is_never_sent_twice(
    front: Front, replicas: list[Replica], pool: ThreadPoolExecutor
) -> None:
    gateway = front(addresses(replicas), poll_s=SLOW_POLL)
    waiting = in_background(pool, gateway, "POST", "/upscale", b"picture")
    index, exchange = take_from_any(replicas)
    exchange.reset()
    answer = waiting.result()
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (502, "bad-gateway", True)
    assert int(answer.headers["retry-after"]) > 0
    assert replicas[1 - index].asked == 0


def test_a_503_to_a_picture_reaches_the_client_as_it_is(
    front: Front, replicas: list[Replica], pool: ThreadPoolExecutor
) -> None:
    gateway = front(addresses(replicas), poll_s=SLOW_POLL)
    waiting = in_background(pool, gateway, "POST", "/upscale", b"picture")
    index, exchange = take_from_any(replicas)
    exchange.answer(503, b"its own words", Retry_After="7")
    answer = waiting.result()
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "its own words", "7")
    assert replicas[1 - index].asked == 0


def test_a_question_that_is_answered_503_is_asked_again_elsewhere(
    front: Front, replicas: list[Replica], pool: ThreadPoolExecutor
) -> None:
    gateway = front(addresses(replicas), poll_s=SLOW_POLL)
    waiting = in_background(pool, gateway, "GET", "/models")
    index, exchange = take_from_any(replicas)
    exchange.answer(503)
    replicas[1 - index].take().answer(200, b"models")
    assert waiting.result().text == "models"


# --- who gets requests


def test_a_full_replica_stays_in_the_list(front: Front, replicas: list[Replica]) -> None:
    gateway = front(addresses(replicas))
    for replica in replicas:
        replica.always = 429
    with gateway.client() as client:
        statuses = [client.post("/upscale", content=b"picture").status_code for _ in range(20)]
    assert statuses == [429] * 20
    assert [replica.asked for replica in replicas] == [10, 10]
    assert all(gateway.listed().values())


def test_a_replica_that_is_not_ready_gets_no_requests_until_it_is(front: Front, replicas: list[Replica]) -> None:
    gateway = front(addresses(replicas))
    first, second = replicas
    first.always = second.always = 200
    first.ready = 503
    assert eventually(lambda: gateway.listed() == {first.address: False, second.address: True})
    with gateway.client() as client:
        assert eventually(lambda: _all_to(second, first, client))
        first.ready = 200
        assert eventually(lambda: gateway.listed() == {first.address: True, second.address: True})
        before = first.asked
        assert eventually(lambda: client.post("/upscale", content=b"x").status_code == 200 and first.asked > before)


def _all_to(chosen: Replica, other: Replica, client: httpx2.Client) -> bool:
    """Whether ten requests go to `chosen`; for a moment after a reload nginx's old workers still answer."""
    before = other.asked
    assert all(client.post("/upscale", content=b"x").status_code == 200 for _ in range(10))
    return other.asked == before


def test_where_no_replica_is_ready_their_own_answer_is_given(front: Front, replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.ready, replica.always = 503, 503
    gateway = front(addresses(replicas))
    with gateway.client() as client:
        answer = client.post("/upscale", content=b"x")
    assert answer.status_code == 503
    assert "server" in answer.headers
    assert sum(replica.asked for replica in replicas) == 1


def test_each_request_goes_to_the_replica_with_the_fewest_under_way(
    front: Front, replicas: list[Replica], pool: ThreadPoolExecutor
) -> None:
    gateway = front(addresses(replicas))
    waiting = in_background(pool, gateway, "POST", "/upscale", b"a large picture")
    busy, exchange = take_from_any(replicas)
    replicas[1 - busy].always = 200
    with gateway.client() as client:
        assert [client.post("/upscale", content=b"small").status_code for _ in range(10)] == [200] * 10
    assert replicas[busy].asked == 1
    exchange.answer(200)
    assert waiting.result().status_code == 200


def test_no_replica_at_all_is_a_problem_of_the_gateway(front: Front, replicas: list[Replica]) -> None:
    gateway = front(addresses(replicas), poll_s=SLOW_POLL)
    for replica in replicas:
        replica.close()
    with gateway.client() as client:
        answer = client.get("/models")
    assert (answer.status_code, answer.json()["code"]) == (502, "bad-gateway")
    assert answer.headers["retry-after"] == "2"


# --- what is passed on


def test_the_service_learns_who_asks_from_the_gateway_alone(
    front: Front, replicas: list[Replica], pool: ThreadPoolExecutor
) -> None:
    gateway = front(addresses(replicas))
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": 'bad"id', "Authorization": "Bearer key"}

    def ask() -> httpx2.Response:
        with gateway.client() as client:
            return client.post("/upscale", content=b"x", headers=lies)

    waiting = pool.submit(ask)
    _, exchange = take_from_any(replicas)
    assert exchange.headers["x-forwarded-for"] == "127.0.0.1"
    assert exchange.headers["authorization"] == "Bearer key"
    assert len(exchange.headers["x-request-id"]) == 32
    assert exchange.headers["connection"] == "close"
    exchange.answer(200)
    assert waiting.result().status_code == 200


def test_each_request_is_a_line_of_json_without_its_parameters(front: Front, replicas: list[Replica]) -> None:
    gateway = front(addresses(replicas))
    for replica in replicas:
        replica.always = 200
    with gateway.client() as client:
        client.post("/upscale?model=secret", content=b"x", headers={"X-Request-ID": "r1", "Authorization": "Bearer k"})

    def lines() -> list[dict[str, str]]:
        found = [json.loads(text) for text in (gateway.folder / "log").read_text().splitlines() if text[0] == "{"]
        return [line for line in found if line["event"] == "gateway"]

    assert eventually(lambda: len(lines()) == 1)
    (line,) = lines()
    assert (line["request_id"], line["path"], line["status"]) == ("r1", "/upscale", "200")
    assert line["replica"] in addresses(replicas)
    assert "secret" not in str(line)
    assert "Bearer" not in str(line)


def test_a_stop_finishes_what_is_under_way(front: Front, replicas: list[Replica], pool: ThreadPoolExecutor) -> None:
    gateway = front(addresses(replicas))
    waiting = in_background(pool, gateway, "POST", "/upscale", b"picture")
    _, exchange = take_from_any(replicas)
    gateway.process.terminate()
    threading.Event().wait(0.5)
    exchange.answer(200, b"larger")
    assert waiting.result().content == b"larger"
    assert gateway.process.wait(30) == 0
