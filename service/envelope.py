"""The envelope of every request: an id, one rendered error, headers that all answers carry, one line in the log, and
what is counted of it.

A pure ASGI middleware, for Starlette's BaseHTTPMiddleware hides from a handler that its client has gone.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ClientClosed, Draining, InternalError, ServiceError, Unavailable
from service.metrics import Metrics
from service.problems import problem_response, shorten
from service.telemetry import RequestOutcome, RequestRecord
from service.tracing import describe_span, trace_id_of

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
QUIET_PATHS = frozenset({"/livez", "/readyz"})  # asked every few seconds; logged at debug unless they fail

log = structlog.get_logger("service")


class Envelope:
    """Wraps the application; `scope["state"]["record"]` is the request's RequestRecord to all inside."""

    def __init__(self, app: ASGIApp, *, is_draining: Callable[[], bool], metrics: Metrics) -> None:
        self._app = app
        self._is_draining = is_draining
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(request_id_of(scope), method=scope["method"])
        scope.setdefault("state", {})["record"] = record
        bound = {"request_id": record.request_id, "trace_id": trace_id_of(scope)}
        with structlog.contextvars.bound_contextvars(**{name: value for name, value in bound.items() if value}):
            await _Exchange(self._app, scope, record, self._is_draining, self._metrics).run(receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, app: ASGIApp, scope: Scope, record: RequestRecord, is_draining: Callable[[], bool], metrics: Metrics
    ) -> None:
        self._app = app
        self._scope = scope
        self._inner = dict(scope)  # the router writes down in it which route it took
        self._started = time.perf_counter()
        self._record = record
        self._is_draining = is_draining
        self._metrics = metrics
        self._status: int | None = None
        self._error: Exception | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        """Answer, whatever happens inside, log it and count it. An error after an answer's first byte goes on up."""
        self._metrics.request_began()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                describe_span(self._record)  # FastAPI ends the span with the last byte
            await send(self._dress(message))

        if self._inner["method"] == "HEAD":
            self._inner["method"] = "GET"  # a HEAD is answered as its GET, without the body
        try:
            await self._app(self._inner, receive, sending)
        except ClientClosed as error:  # nobody is there to read an answer
            self._error = error
        except asyncio.CancelledError:  # the server stops and waits no longer; nothing comes after this task
            self._error = Draining("The service was stopped before the answer was ready.", retry_after_s=1)
            if self._status is not None:
                raise
            await self._refusal(self._error)(self._scope, receive, sending)
        except Exception as error:
            self._error = error
            if self._status is not None:
                raise  # too late for a problem: the server cuts the connection, so that the client notices
            await self._refusal(error)(self._scope, receive, sending)
        finally:
            outcome = self._outcome()
            self._metrics.request_ended(self._record, outcome)
            self._log(outcome)
            describe_span(self._record)

    def _outcome(self) -> RequestOutcome:
        error = self._error
        return RequestOutcome(
            endpoint=getattr(self._inner.get("route"), "path", None),
            status=error.status if isinstance(error, ServiceError) else 500 if error else self._status,
            code=error.code if isinstance(error, ServiceError) else "internal-error" if error else None,
            seconds=time.perf_counter() - self._started,
        )

    def _refusal(self, error: Exception) -> Response:
        if not isinstance(error, ServiceError):
            error = InternalError("An error of the service; it is in its log under this request's id.")
        return problem_response(error, request_id=self._record.request_id)

    def _dress(self, message: Message) -> Message:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers["X-Request-ID"] = self._record.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            timing = self._record.times.server_timing()
            if timing:
                headers["Server-Timing"] = timing
            if self._is_draining():
                headers["Connection"] = "close"  # so that no idle connection is left for the stop to cut
            return {**message, "headers": headers.raw}
        if message["type"] == "http.response.body" and self._scope["method"] == "HEAD":
            return {**message, "body": b""}
        return message

    def _log(self, outcome: RequestOutcome) -> None:
        error = self._error
        failed = outcome.status is None or outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        quiet = self._scope["path"] in QUIET_PATHS and not failed
        expected = isinstance(error, Unavailable)
        write = log.warning if expected else log.error if failed else log.debug if quiet else log.info
        write(
            "request",
            method=self._scope["method"],
            path=shorten(self._scope["path"]),
            status=outcome.status,
            code=outcome.code,
            detail=str(error) if isinstance(error, ServiceError) else None,
            seconds=round(outcome.seconds, 6),
            stages={name: round(value, 6) for name, value in self._record.times.seconds.items()},
            **self._record.facts,
            **({"exc_info": error} if failed and not expected else {}),
        )


def request_id_of(scope: Scope) -> str:
    """The id that the client or the gateway gave in X-Request-ID, if it is sane; else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
