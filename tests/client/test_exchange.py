"""Attempts, pauses and deadlines, over real connections to a server that answers as it is told."""

import datetime
import json
import threading
import time
from email.utils import format_datetime

import pytest

from srserve_client import (
    ConnectionFailed,
    DeadlineExpired,
    NotModified,
    ProblemError,
    RetryBudget,
    RetryPolicy,
    UnexpectedAnswer,
)
from srserve_client.problems import Overloaded, Unavailable, Unprocessable
from tests.client.conftest import Connect
from tests.client.scripted import Scripted, scripted

QUICK = RetryPolicy(max_retries=2, first_pause_s=0.01, longest_pause_s=0.02)
OK = Scripted(body=b"[]")


def problem(code: str, status: int, **members: object) -> Scripted:
    document = {"type": f"/problems/{code}", "title": "T", "status": status, "detail": "D", "code": code} | members
    return Scripted(status, {"Content-Type": "application/problem+json"}, json.dumps(document).encode())


FULL = problem("overloaded", 429, retryable=True)


@pytest.mark.parametrize(
    "failure",
    [
        FULL,
        problem("body-timeout", 408),
        problem("some-conflict", 409),
        problem("not-ready", 503),
        problem("a-code-of-the-future", 500),
        problem("strange", 400, retryable=True),
        Scripted(502, {"Content-Type": "text/html"}, b"<html>Bad gateway"),
        Scripted(cut=True),
        Scripted(body=b"half of", cut=True),
    ],
    ids=lambda scripted: f"{scripted.status}-{scripted.body[-20:]!r}",
)
def test_what_may_pass_is_sent_again_the_same_bytes_under_a_kindred_id(connect: Connect, failure: Scripted) -> None:
    answer = Scripted(headers={"Content-Type": "image/png"}, body=b"picture")
    with scripted(failure, failure, answer) as server, connect(server.url, retries=QUICK) as client:
        result = client.upscale(b"the bytes", model="edsr", scale=2)
    assert (result.content, result.attempts) == (b"picture", 3)
    assert [asked.body for asked in server.asked] == [b"the bytes"] * 3
    first, *others = [asked.headers["x-request-id"] for asked in server.asked]
    assert others == [f"{first}-2", f"{first}-3"]
    assert result.request_id == others[1]


@pytest.mark.parametrize(
    "failure",
    [
        problem("unsupported-scale", 422),
        problem("model-output-invalid", 500, retryable=False),
        problem("internal-error", 500, retryable=False),
        Scripted(404, {}, b"another server"),
        Scripted(301, {"Location": "https://example.org/"}),
    ],
    ids=lambda scripted: f"{scripted.status}-{scripted.body[-20:]!r}",
)
def test_what_would_fail_again_is_not_sent_again(connect: Connect, failure: Scripted) -> None:
    with (
        scripted(failure) as server,
        connect(server.url, retries=QUICK) as client,
        pytest.raises((ProblemError, UnexpectedAnswer)) as raised,
    ):
        client.models()
    assert len(server.asked) == 1
    assert raised.value.attempts == 1
    assert getattr(raised.value, "status", None) == failure.status
    assert raised.value.request_id == server.asked[0].headers["x-request-id"]


def test_after_the_last_retry_the_last_error_is_raised(connect: Connect) -> None:
    with (
        scripted(FULL, FULL, problem("not-ready", 503)) as server,
        connect(server.url, retries=QUICK) as client,
        pytest.raises(Unavailable) as raised,
    ):
        client.models()
    assert (raised.value.code, raised.value.attempts, len(server.asked)) == ("not-ready", 3, 3)


def test_no_retries_means_one_attempt(connect: Connect) -> None:
    with scripted(FULL) as server, connect(server.url, retries=0) as client, pytest.raises(Overloaded):
        client.models()
    assert len(server.asked) == 1


def test_retry_after_is_waited_for(connect: Connect) -> None:
    full = Scripted(429, {"Content-Type": "application/problem+json", "Retry-After": "1"}, FULL.body)
    with scripted(full, OK) as server, connect(server.url, retries=QUICK) as client:
        started = time.monotonic()
        client.models()
        assert time.monotonic() - started >= 1.0
    assert len(server.asked) == 2


def test_a_date_in_retry_after_is_understood(connect: Connect) -> None:
    past = format_datetime(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), usegmt=True)
    with (
        scripted(Scripted(503, {"Retry-After": past}, b"gateway"), OK) as server,
        connect(server.url, retries=RetryPolicy(first_pause_s=1000)) as client,
    ):
        assert client.models() == []
    assert len(server.asked) == 2


@pytest.mark.parametrize("seconds", ["121", "30"])
def test_a_pause_too_long_or_past_the_deadline_is_not_begun(connect: Connect, seconds: str) -> None:
    full = Scripted(429, {"Content-Type": "application/problem+json", "Retry-After": seconds}, FULL.body)
    timeout = None if seconds == "121" else 20.0
    with scripted(full) as server, connect(server.url, timeout=timeout) as client, pytest.raises(Overloaded) as raised:
        client.models()
    assert raised.value.retry_after_s == float(seconds)
    assert len(server.asked) == 1


def test_the_deadline_covers_all_attempts_and_is_told_to_the_service(connect: Connect) -> None:
    with scripted(FULL, FULL, OK) as server, connect(server.url, retries=QUICK, timeout=30) as client:
        client.models()
    told = [int(asked.headers["x-request-timeout-ms"]) for asked in server.asked]
    assert 30_000 >= told[0] > told[1] > told[2] > 0


def test_without_a_timeout_no_deadline_is_told(connect: Connect) -> None:
    with scripted(OK) as server, connect(server.url, timeout=None) as client:
        client.models()
    assert "x-request-timeout-ms" not in server.asked[0].headers


def test_an_answer_that_does_not_come_ends_with_the_deadline(connect: Connect) -> None:
    never = threading.Event()
    with scripted(Scripted(wait=never)) as server:
        with connect(server.url, timeout=0.3, retries=QUICK) as client, pytest.raises(DeadlineExpired) as raised:
            client.models()
        never.set()
    assert raised.value.request_id == server.asked[0].headers["x-request-id"]
    assert len(server.asked) == 1


def test_a_port_where_nobody_listens_is_a_failed_connection(connect: Connect) -> None:
    with scripted(OK) as server:
        pass
    with connect(server.url, retries=QUICK) as client, pytest.raises(ConnectionFailed) as raised:
        client.models()
    assert raised.value.sent_nothing
    assert raised.value.attempts == 3
    assert raised.value.request_id


def test_a_retry_budget_ends_the_retries_of_all_calls(connect: Connect) -> None:
    budget = RetryBudget(share=0.5, reserve=1.0)
    with scripted(FULL) as server, connect(server.url, retries=QUICK, budget=budget) as client:
        with pytest.raises(Overloaded) as raised:
            client.models()
        assert len(server.asked) == 2  # the one retry of the reserve
        assert "RetryBudget" in raised.value.__notes__[0]
        with pytest.raises(Overloaded):
            client.models()
        assert len(server.asked) == 3  # none: half a retry was earned
        with pytest.raises(Overloaded):
            client.models()
        assert len(server.asked) == 5  # and the other half


def test_headers_key_and_prefix_go_with_every_call(connect: Connect) -> None:
    with scripted(OK) as server, connect(f"{server.url}/sr", api_key="k", headers={"X-Tenant": "t"}) as client:
        client.models()
        client.with_options(headers={"X-Tenant": "u"}).models()
    first, second = server.asked
    assert first.path == second.path == "/sr/models"
    assert first.headers["authorization"] == second.headers["authorization"] == "Bearer k"
    assert (first.headers["x-tenant"], second.headers["x-tenant"]) == ("t", "u")
    assert first.headers["user-agent"].startswith("srserve-client/")


def test_address_and_key_come_from_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(OK) as server:
        monkeypatch.setenv("SR_BASE_URL", server.url)
        monkeypatch.setenv("SR_API_KEY", "from outside")
        with connect() as client:
            client.models()
        with connect(api_key="given") as client:
            client.models()
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer from outside", "Bearer given"]


@pytest.mark.parametrize("url", ["example.org:8000", "ftp://example.org", "http://", "/upscale", "http://[::1"])
def test_a_base_url_that_is_none_is_refused_at_once(connect: Connect, url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        connect(url)


def test_options_differ_for_the_new_client_alone(connect: Connect) -> None:
    with scripted(FULL) as server, connect(server.url, retries=QUICK, timeout=10) as client:
        patient = client.with_options(timeout=None, retries=0)
        with pytest.raises(Overloaded):
            patient.models()
        with pytest.raises(Overloaded):
            client.models()
    assert ["x-request-timeout-ms" in asked.headers for asked in server.asked] == [False, True, True, True]


def test_a_timeout_of_nothing_is_a_mistake(connect: Connect) -> None:
    with connect("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="above 0"):
        client.models(timeout=0)


def test_not_modified_is_raised_with_the_etag(connect: Connect) -> None:
    with (
        scripted(Scripted(304, {"ETag": '"x"'})) as server,
        connect(server.url) as client,
        pytest.raises(NotModified) as raised,
    ):
        client.upscale(b"p", model="edsr", scale=2, if_none_match='"x"')
    assert raised.value.etag == '"x"'
    assert server.asked[0].headers["if-none-match"] == '"x"'


def test_a_future_code_is_the_nearest_class_and_keeps_its_name(connect: Connect) -> None:
    with (
        scripted(problem("too-blurry", 422, limit=3, actual=4)) as server,
        connect(server.url) as client,
        pytest.raises(Unprocessable) as raised,
    ):
        client.models()
    assert type(raised.value) is Unprocessable
    assert (raised.value.code, raised.value.limit, raised.value.actual) == ("too-blurry", 3, 4)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a": 1}', b'["edsr"]'])
def test_a_success_that_is_not_srserves_is_unexpected(connect: Connect, body: bytes) -> None:
    with scripted(Scripted(body=body)) as server, connect(server.url) as client, pytest.raises(UnexpectedAnswer):
        client.models()
