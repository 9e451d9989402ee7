"""The envelope: every request gets an id, its errors become problems, and it leaves one line in the log."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.envelope import Envelope
from service.errors import ClientClosed, Overloaded, UnsupportedScale
from service.metrics import Metrics

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def ask(
    application: Application, *, method: str = "GET", draining: bool = False, **headers: str
) -> tuple[httpx2.Response, list[dict[str, Any]]]:
    """The answer of `application` in an envelope, and what was logged."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    envelope = Envelope(application, is_draining=lambda: draining, metrics=Metrics())

    async def exchange() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=envelope)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, "/path", headers=names)

    with capture_logs() as lines:
        answer = asyncio.run(exchange())
    return answer, [dict(line) for line in lines]


async def greeting(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["record"].times.add("infer", 0.5)
    scope["state"]["record"].facts["tiles"] = 3
    await PlainTextResponse(f"hello {scope['method']}")(scope, receive, send)


def failing(error: BaseException) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return application


def test_a_request_without_an_id_gets_one() -> None:
    first, _ = ask(greeting)
    second, _ = ask(greeting)
    assert re.fullmatch(r"[0-9a-f]{32}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_sane_id_is_kept() -> None:
    assert ask(greeting, x_request_id="trace-1.A_b~9")[0].headers["x-request-id"] == "trace-1.A_b~9"


@pytest.mark.parametrize("bad", ["", " ", "-a", "a b", "a" * 129, "<script>", "a\tb", "a;b", "{}"])
def test_an_id_that_is_not_sane_is_replaced(bad: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", ask(greeting, x_request_id=bad)[0].headers["x-request-id"])


def test_every_answer_forbids_sniffing_and_tells_its_stage_times() -> None:
    answer, _ = ask(greeting)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["server-timing"] == "infer;dur=500.0"


def test_one_line_is_logged_with_what_is_known() -> None:
    answer, (line,) = ask(greeting, x_request_id="r1")
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"], line["code"]) == ("GET", "/path", 200, None)
    assert line["stages"] == {"infer": 0.5}
    assert line["tiles"] == 3
    assert line["seconds"] >= 0
    assert answer.text == "hello GET"


def test_a_head_is_answered_as_its_get_without_the_body() -> None:
    answer, (line,) = ask(greeting, method="HEAD")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "9"
    assert answer.content == b""
    assert line["method"] == "HEAD"


def test_our_error_becomes_a_problem() -> None:
    error = UnsupportedScale("edsr has no scale 9.", members={"supported": [2, 4]})
    answer, (line,) = ask(failing(error), x_request_id="r1")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/unsupported-scale",
        "title": "The model has no such scale",
        "status": 422,
        "detail": "edsr has no scale 9.",
        "instance": "r1",
        "code": "unsupported-scale",
        "retryable": False,
        "supported": [2, 4],
    }
    assert (line["status"], line["code"], line["log_level"]) == (422, "unsupported-scale", "info")


def test_an_error_to_be_retried_says_when_in_whole_seconds_and_never_at_once() -> None:
    answer, _ = ask(failing(Overloaded("full", retry_after_s=2.1)))
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["retry_after_s"]) == (429, "3", 3)
    assert ask(failing(Overloaded("full", retry_after_s=0.0)))[0].headers["retry-after"] == "1"


def test_any_other_error_becomes_a_500_that_tells_the_log_all_and_the_caller_nothing() -> None:
    answer, (line,) = ask(failing(ValueError("secret")))
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert "secret" not in answer.text
    assert (line["status"], line["code"], line["log_level"]) == (500, "internal-error", "error")
    assert repr(line["exc_info"]) == "ValueError('secret')"


def test_a_client_that_has_gone_gets_no_answer_and_is_logged_as_499() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - an ASGI message
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    envelope = Envelope(failing(ClientClosed("gone")), is_draining=lambda: False, metrics=Metrics())
    with capture_logs() as lines:
        asyncio.run(envelope(scope, receive, send))
    assert sent == []
    assert (lines[0]["status"], lines[0]["code"]) == (499, "client-closed")


def test_an_error_after_the_first_byte_is_not_hidden_behind_a_whole_answer() -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ask(breaks_off)


def test_while_draining_no_connection_is_kept() -> None:
    assert ask(greeting, draining=True)[0].headers["connection"] == "close"
    assert "connection" not in ask(greeting)[0].headers


def test_health_checks_are_not_worth_a_line() -> None:
    async def exchange() -> None:
        transport = httpx2.ASGITransport(app=Envelope(greeting, is_draining=lambda: False, metrics=Metrics()))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/livez")

    with capture_logs() as lines:
        asyncio.run(exchange())
    assert [line["log_level"] for line in lines] == ["debug"]
