"""Deadlines: how long one call may take, all its attempts and pauses together."""

import time

from srserve_client.errors import DeadlineExpired

SHORTEST_STEP_S = 0.001  # 0 would mean not to wait at all
HEADER = "X-Request-Timeout-Ms"  # tells the service when its answer will not be waited for any more


# For what has no deadline, because it may take hours:
STALL_S = 60.0  # without a byte; the service sends a sign of life every 15 s
PATIENCE_S = 300.0  # with a service that cannot be reached: a restart ends no job
RECONNECT_S = 1.0  # between two connections


class Deadline:
    """Begins when it is made. `timeout_s` None: there is none.

    `stall_s` is how long any step of the call may take: what may take hours must still notice that the other side is
    gone.
    """

    def __init__(self, timeout_s: float | None, *, stall_s: float | None = None) -> None:
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(f"a timeout is above 0 s (is {timeout_s})")
        self._timeout_s = timeout_s
        self.stall_s = stall_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    def remaining_s(self) -> float | None:
        """Seconds left, at least 0; None where there is no deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def allows(self, pause_s: float) -> bool:
        """Whether there is time for a pause of `pause_s` and something after it."""
        remaining = self.remaining_s()
        return remaining is None or pause_s < remaining

    def check(self) -> None:
        """Raises DeadlineExpired when there is no time left."""
        if not self.allows(0.0):
            raise self.expired()

    def expired(self) -> DeadlineExpired:
        """The error to raise."""
        return DeadlineExpired(f"The call took longer than its timeout of {self._timeout_s:g} s.")

    def headers(self) -> dict[str, str]:
        """What tells the service of it; nothing for calls of which each step has its own limit."""
        remaining = self.remaining_s()
        return {} if remaining is None or self.stall_s is not None else {HEADER: str(max(1, int(remaining * 1000)))}

    def step_s(self) -> float | None:
        """Seconds that the next step of the call may take; None: for ever."""
        limits = [limit for limit in (self.remaining_s(), self.stall_s) if limit is not None]
        return max(min(limits), SHORTEST_STEP_S) if limits else None
