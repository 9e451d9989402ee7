"""Every way a call can fail, as one tree. The classes of the service's own codes are in problems.py.

SrserveError                 whatever this package raises on purpose
|- ConnectionFailed          no answer came, or not all of it
|- DeadlineExpired           the call's own deadline passed here; the service may not have noticed
|- UnexpectedAnswer          an answer, but not one of srserve's: a gateway's page, a redirect
|- NotModified      304      the answer would be the one whose ETag was given
|- ProblemError              a problem document (RFC 9457) of the service, by code (problems.py)
   |- BadRequest  NotFound  Unprocessable  Overloaded  Unavailable ...
"""

from collections.abc import Mapping
from typing import ClassVar


class SrserveError(Exception):
    """The root of the tree.

    `request_id` is the call's X-Request-ID, made here, so that it is known even where no answer came: the service's
    log has it. `attempts` is how many times the call was sent.
    """

    request_id: str | None = None
    attempts: int = 1


class ConnectionFailed(SrserveError):
    """No answer came, or not all of it.

    `sent_nothing` is True where no connection was made at all, so that the service cannot have begun any work.
    """

    def __init__(self, message: str, *, sent_nothing: bool = False) -> None:
        super().__init__(message)
        self.sent_nothing = sent_nothing


class DeadlineExpired(SrserveError):
    """The call took longer than its `timeout`, retries and pauses included."""


class UnexpectedAnswer(SrserveError):
    """Something between here and the service answered, or the address is another server's."""

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class NotModified(SrserveError):
    """The answer would be the one that the caller has: its ETag was given as `if_none_match`."""

    status: ClassVar[int] = 304

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag

    def __str__(self) -> str:
        return f"The answer is the one that you have (ETag {self.etag})."


class ProblemError(SrserveError):
    """The service refused, or failed, and said why.

    `code` never changes its meaning. `limit` and `actual` are there where a limit was exceeded. `members` is the whole
    problem document, with what else belongs to this code (`supported`, `available`, `errors`, `parameter`).
    """

    status: int = 500
    code: str = "unknown"
    title: str = "Unknown problem"
    retryable: bool | None = None
    retry_after_s: float | None = None

    def __init__(
        self, detail: str, *, members: Mapping[str, object] | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members: dict[str, object] = dict(members or {})
        self.limit = self.members.get("limit")
        self.actual = self.members.get("actual")
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}, {self.status}, request {self.request_id}]"
