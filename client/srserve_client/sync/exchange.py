"""Exchange: one call to its answer, over as many attempts as the policy, the budget and the deadline allow.

Made by `python -m generate` from srserve_client/aio/exchange.py; changes by hand are lost.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from srserve_client.answers import Answer, error_of
from srserve_client.bodies import CHUNK_BYTES, Body
from srserve_client.calls import Call
from srserve_client.deadlines import Deadline
from srserve_client.errors import ConnectionFailed, SrserveError
from srserve_client.retries import RetryBudget, RetryPolicy
from srserve_client.sync import io

CONNECT_TIMEOUT_S = 5.0  # a service that can be reached takes the connection at once
SMALLEST_ERROR = 300  # of the statuses: no call expects to be sent elsewhere


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Sends calls through one pool of connections. `headers` go with every call."""

    http: httpx2.Client
    policy: RetryPolicy
    budget: RetryBudget
    headers: Mapping[str, str]

    def fetch(self, call: Call, deadline: Deadline) -> Answer:
        """The whole answer, of a status below 300.

        Raises the error that the last answer stood for, ConnectionFailed or DeadlineExpired.
        """
        response, content, attempts = self._exchanged(call, deadline, whole=True)
        return _answer(response, content, attempts)

    @contextmanager
    def stream(self, call: Call, deadline: Deadline) -> Iterator[httpx2.Response]:
        """A successful answer whose body is still to be read (under `connection_errors`): attempts end with its head.

        Raises as `fetch` does.
        """
        response, _, _ = self._exchanged(call, deadline, whole=False)
        try:
            yield response
        finally:
            response.close()

    def _exchanged(self, call: Call, deadline: Deadline, *, whole: bool) -> tuple[httpx2.Response, bytes, int]:
        """The answer, its content if the `whole` is wanted, and how many attempts it took."""
        call_id = uuid.uuid4().hex
        self.budget.earn()
        attempts = 0
        while True:
            attempts += 1
            # The same for all attempts but for the ending, so that the service's log shows what belongs together.
            request_id = call_id if attempts == 1 else f"{call_id}-{attempts}"
            try:
                with connection_errors(deadline, request_id):
                    response, content = self._attempt(call, deadline, request_id, whole=whole)
            except SrserveError as error:
                error.attempts = attempts
                io.sleep(self._pause_s(error, call, deadline))
            else:
                return response, content, attempts

    def _attempt(
        self, call: Call, deadline: Deadline, request_id: str, *, whole: bool
    ) -> tuple[httpx2.Response, bytes]:
        deadline.check()
        headers = {"X-Request-ID": request_id, **self.headers, **deadline.headers(), **call.headers}
        if call.body is not None:
            headers["Content-Type"] = call.body.media_type
            if call.body.length is not None:
                headers["Content-Length"] = str(call.body.length)
        request = self.http.build_request(
            call.method,
            call.path,
            params=dict(call.params),
            headers=headers,
            content=None if call.body is None else _chunks(call.body, deadline),
            extensions={"timeout": Timeouts(deadline)},
        )
        response = self.http.send(request, stream=True)
        if not whole and response.status_code < SMALLEST_ERROR:
            return response, b""
        try:
            content = _content(response, deadline)
        finally:
            response.close()
        if response.status_code >= SMALLEST_ERROR:
            raise error_of(_answer(response, content, 1))
        return response, content

    def _pause_s(self, error: SrserveError, call: Call, deadline: Deadline) -> float:
        """Seconds until the next attempt; or raises the error, when there is to be none."""
        pause_s = self.policy.pause_s(error, attempts=error.attempts)
        if pause_s is None or not deadline.allows(pause_s):
            raise error
        if call.body is not None and not call.body.can_be_sent:
            error.add_note("It was not sent again: its body has been read, and cannot be read twice.")
            raise error
        if not self.budget.spend():
            error.add_note("It was not sent again: too many calls of this client have been (RetryBudget).")
            raise error
        return pause_s


class Timeouts(Mapping[str, float | None]):
    """What each step of a request may take, asked for when the step begins: whatever the deadline has left then."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __getitem__(self, step: str) -> float | None:
        limit = self._deadline.step_s()
        if step != "connect":
            return limit
        return CONNECT_TIMEOUT_S if limit is None else min(limit, CONNECT_TIMEOUT_S)

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "read", "write", "pool"))

    def __len__(self) -> int:
        return 4


@contextmanager
def connection_errors(deadline: Deadline, request_id: str) -> Iterator[None]:
    """Turns httpx2's errors into ours."""
    try:
        yield
    except SrserveError as error:
        error.request_id = error.request_id or request_id
        raise
    except httpx2.TransportError as error:
        ours: SrserveError
        if isinstance(error, httpx2.TimeoutException) and not deadline.allows(0.0):
            ours = deadline.expired()
        else:
            ours = ConnectionFailed(
                f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
                sent_nothing=isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout),
            )
        ours.request_id = request_id
        raise ours from error


def _chunks(body: Body, deadline: Deadline) -> Iterator[bytes]:
    with body.open() as file:
        while chunk := io.read(file, CHUNK_BYTES):
            deadline.check()
            yield chunk


def _content(response: httpx2.Response, deadline: Deadline) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        deadline.check()
        content += chunk
    return bytes(content)


def _answer(response: httpx2.Response, content: bytes, attempts: int) -> Answer:
    return Answer(
        status=response.status_code,
        headers=response.headers,
        content=content,
        request_id=response.request.headers["x-request-id"],
        attempts=attempts,
    )
