"""Protocol: HTTP/1.1 as uvicorn parses it, with the limits that it lacks.

Without them a client that sends headers for ever, or goes on with a body that has been refused, costs memory or a
connection for ever. What is refused here, or is no HTTP at all, is answered as a problem as well, though no application
has seen it.
"""

import asyncio
import re
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.errors import BadRequest
from service.metrics import Metrics
from service.problems import problem_response

OFFER = re.compile(rb"^upgrade(?=[ \t]*:)", re.IGNORECASE | re.MULTILINE)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. A request's head has `max_head_bytes` and `head_timeout_s`; so has a refused body's rest."""

    def __init__(self, *args: Any, max_head_bytes: int, head_timeout_s: float, metrics: Metrics, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **kwargs)
        self._metrics = metrics
        self._max_head_bytes = max_head_bytes
        self._head_timeout_s = head_timeout_s
        self._head_bytes = 0
        self._in_body = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A new connection owes a request."""
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head. httptools keeps a header to itself until its end, so bytes are counted."""
        if not self._in_body:
            self._head_bytes += len(data)
            data = _without_offer(data)
        super().data_received(data)
        if not self._in_body and self._head_bytes > self._max_head_bytes and not self.transport.is_closing():
            self._refuse(f"The request's headers have more than {self._max_head_bytes} bytes.", reason="too_large")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._deadline is None:
            self._set_deadline()

    def on_headers_complete(self) -> None:
        """The head is complete: the body has its own limits, in the application."""
        self._in_body = True
        self._clear_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is complete, and the next byte begins another head."""
        self._in_body = False
        self._head_bytes = 0
        self._clear_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Where the answer was given before the body had come, the rest is read and dropped, but not for ever.

        To close at once would reset the connection, and the client could lose the answer.
        """
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._set_deadline()

    def send_400_response(self, msg: str) -> None:
        """Answer `msg` as a problem and close."""
        self._refuse(msg)

    def _refuse(self, detail: str, *, reason: str | None = None) -> None:
        request_id = uuid.uuid4().hex
        error = BadRequest(detail)
        answer = problem_response(error, request_id=request_id)
        self._metrics.refused_by_protocol(error.status, error.code, reason=reason)
        answer.headers["X-Request-ID"] = request_id
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Connection"] = "close"
        lines = [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
        self.transport.write(b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)]))
        self.transport.close()

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self._head_timeout_s, self._give_up)

    def _give_up(self) -> None:
        """Nothing is answered: to half a head there is no answer that its sender would understand."""
        if self._head_bytes and not self._in_body and not self.transport.is_closing():
            self._metrics.closed_unasked()
        self.transport.close()

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _without_offer(data: bytes) -> bytes:
    """`data`, which begins in a head, without the head's offer to speak another protocol, which servers may ignore.

    httptools takes the offer for accepted and drops the request's body; Java's client makes one (h2c) every time.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if OFFER.search(head) is None:
        return data
    return OFFER.sub(b"x-upgrade", head) + end + body
