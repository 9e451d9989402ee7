"""Quotas: what one key has under way, and the pixels that it has left. Belongs to the event loop's thread.

Pixels are counted when a request ends, for only then they are known for certain, and only of what was let in: neither
refusals nor 304s nor kept answers cost any. A key may begin a request while it has
any left, and one that took more waits until the debt is paid. Over time it gets what its grants say, no more.
"""

from service.errors import QuotaExceeded
from service.keys.file import Grants

MINUTE_S = 60.0


class Quota:
    """One key's account; starts full, and holds at most a minute's pixels."""

    def __init__(self, *, now: float) -> None:
        self.requests = 0
        self._spent = 0.0  # pixels not yet earned back
        self._at = now

    def begin(self, grants: Grants, *, now: float) -> None:
        """Takes a place for one request. Raises QuotaExceeded."""
        if grants.max_requests and self.requests >= grants.max_requests:
            raise QuotaExceeded(
                f"The key has {self.requests} requests under way, and its limit is {grants.max_requests}.",
                members={"limit": grants.max_requests, "actual": self.requests + 1},
                retry_after_s=1.0,
            )
        self._earn(grants, now=now)
        if grants.pixels_per_minute and self._spent >= grants.pixels_per_minute:
            missing = self._spent - grants.pixels_per_minute
            raise QuotaExceeded(
                f"The key's {grants.pixels_per_minute} pixels a minute are used up.",
                members={"limit": grants.pixels_per_minute, "actual": round(self._spent)},
                retry_after_s=max(missing, 1.0) / grants.pixels_per_minute * MINUTE_S,
            )
        self.requests += 1

    def end(self, grants: Grants, *, pixels: int, now: float) -> None:
        """The request has ended, after so many input pixels."""
        self.requests -= 1
        self._earn(grants, now=now)
        self._spent += pixels

    def _earn(self, grants: Grants, *, now: float) -> None:
        self._spent = max(0.0, self._spent - (now - self._at) * grants.pixels_per_minute / MINUTE_S)
        self._at = now
