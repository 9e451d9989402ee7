"""Retries: which failures are worth another attempt, after how long, and how many of them a client may make at all.

All calls may be repeated: reads change nothing, upscaling is deterministic, and a job is created under an idempotency
key. What must not be repeated is a request whose body is gone (`Body.is_replayable`).
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from srserve_client.errors import ConnectionFailed, ProblemError, SrserveError, UnexpectedAnswer

RETRIED_STATUSES = frozenset({408, 409, 429, *range(500, 600)})


@dataclass(frozen=True)
class RetryPolicy:
    """At most `max_retries` more attempts, after pauses that double from `first_pause_s` to `longest_pause_s`.

    The service's Retry-After comes before our own pause. One above `longest_retry_after_s` is not waited for: the
    caller gets the error, with its `retry_after_s`.
    """

    max_retries: int = 2
    first_pause_s: float = 0.5
    longest_pause_s: float = 8.0
    longest_retry_after_s: float = 120.0

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries is at least 0 (is {self.max_retries})")

    def pause_s(self, error: SrserveError, *, attempts: int, draw: Callable[[], float] = random.random) -> float | None:
        """Seconds to wait before the next attempt, `attempts` having been made; None: there is to be no other.

        `draw` gives a number in [0, 1): clients that failed together must not come back together.
        """
        if attempts > self.max_retries or not is_retryable(error):
            return None
        retry_after_s: float | None = getattr(error, "retry_after_s", None)
        if retry_after_s is not None:
            return None if retry_after_s > self.longest_retry_after_s else retry_after_s * (1 + 0.1 * draw())
        pause = min(self.first_pause_s * 2.0 ** (attempts - 1), self.longest_pause_s)
        return pause * (0.5 + 0.5 * draw())


DEFAULT_POLICY = RetryPolicy()


def policy_of(given: RetryPolicy | int) -> RetryPolicy:
    """A policy, or the default one with that many retries."""
    return RetryPolicy(max_retries=given) if isinstance(given, int) else given


def is_retryable(error: SrserveError) -> bool:
    """Whether the same call may succeed later. Where the service says so itself, it is believed."""
    if isinstance(error, ConnectionFailed):
        return True
    if isinstance(error, ProblemError) and error.retryable is not None:
        return error.retryable
    return isinstance(error, ProblemError | UnexpectedAnswer) and error.status in RETRIED_STATUSES


class RetryBudget:
    """Bounds the retries of one client to a share of its calls, so that a service in trouble is not buried by them.

    Every call earns `share` of a retry, up to `reserve`, with which the client starts. Shared by threads.
    """

    def __init__(self, *, share: float = 0.1, reserve: float = 10.0) -> None:
        self._share = share
        self._reserve = reserve
        self._balance = reserve
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A call begins."""
        with self._lock:
            self._balance = min(self._balance + self._share, self._reserve)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        with self._lock:
            if self._balance < 1.0:
                return False
            self._balance -= 1.0
            return True
