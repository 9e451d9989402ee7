"""Deadlines: when an answer is of no use any more. The service has one for all, and a caller may ask for less."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from service.errors import BadParameter, DeadlineExceeded

HEADER = "X-Request-Timeout-Ms"
LONGEST_NUMBER = 12  # digits

T = TypeVar("T")


@dataclass(frozen=True)
class Deadline:
    """`at` on the clock of time.monotonic(), `seconds` after the request's head had come."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds, seconds)

    @classmethod
    def asked_for(cls, milliseconds: str | None, *, limit_s: float) -> Self:
        """From now: what the caller's header says, `limit_s` at most and otherwise.

        Raises BadParameter if it is no whole number above 0.
        """
        if milliseconds is None:
            return cls.after(limit_s)
        is_number = milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= LONGEST_NUMBER
        if not is_number or int(milliseconds) == 0:
            raise BadParameter(
                f"{HEADER} is {milliseconds[:100]!r}, not a whole number of milliseconds above 0.",
                members={"parameter": HEADER},
            )
        return cls.after(min(int(milliseconds) / 1000, limit_s))

    def left_s(self) -> float:
        """Seconds until then, 0 when it has passed."""
        return max(self.at - time.monotonic(), 0.0)

    async def enforce(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled with DeadlineExceeded when the time has passed."""
        try:
            async with asyncio.timeout(self.left_s()) as timeout:
                return await work
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise DeadlineExceeded(
                f"The answer was not ready {self.seconds:g} s after the request had come.",
                members={"limit": self.seconds},
            ) from error
