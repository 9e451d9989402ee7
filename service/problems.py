"""Problems: how an error becomes an answer, application/problem+json (RFC 9457), on every path.

Also the one place where the framework's own errors become ours.
"""

import json
import math
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import (
    BadParameter,
    BadRequest,
    BodyTooLarge,
    InternalError,
    NotFound,
    ServiceError,
)

PROBLEM_JSON = "application/problem+json"
LONGEST_ECHO = 100  # characters of a caller's value that a problem repeats


def problem_document(error: ServiceError, *, request_id: str) -> dict[str, object]:
    """The members of RFC 9457, section 3, then ours. `instance` is the request's id, a relative reference."""
    document: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request_id,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.retry_after_s is not None:
        document["retry_after_s"] = whole_seconds(error.retry_after_s)
    return document | error.members


def problem_response(error: ServiceError, *, request_id: str) -> Response:
    """The answer for `error`: status, document, and the headers that the error asks for (Retry-After, Allow).

    No cache may keep it: some statuses (404, 405) could otherwise be kept by default (RFC 9111, 4.2.2).
    """
    headers = {"Cache-Control": "no-store"} | error.headers
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(whole_seconds(error.retry_after_s))
    # default=str: a member that JSON does not know must never turn a clear refusal into a 500.
    content = json.dumps(problem_document(error, request_id=request_id), default=str)
    return Response(content.encode(), status_code=error.status, headers=headers, media_type=PROBLEM_JSON)


def whole_seconds(seconds: float) -> int:
    """Retry-After is a whole number of seconds (RFC 9110, section 10.2.3), and 0 would ask for a busy loop."""
    return max(1, math.ceil(seconds))


def from_framework(error: HTTPException, *, path: str) -> ServiceError:
    """Starlette's and FastAPI's own refusals, but for the method's (405), as ours."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound(f"There is nothing at {shorten(path)}; see /docs.")
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BodyTooLarge(f"{error.detail}.")
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError("An error of the service; it is in its log under this request's id.")
    return BadRequest(f"{error.detail}.", headers=error.headers)


def from_validation(error: RequestValidationError) -> ServiceError:
    """FastAPI's refusal of a parameter's type or range as one BadParameter that lists each in `errors`."""
    faults = [
        {
            "parameter": str(fault["loc"][-1]),
            "detail": fault["msg"],
            "actual": shorten(str(fault.get("input"))),
        }
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['parameter']}: {fault['detail']} (is {fault['actual']!r})" for fault in faults)
    return BadParameter(f"{detail}.", members={"errors": faults})


def shorten(value: str) -> str:
    """A caller's value, short enough to be repeated to them and to the log."""
    return value if len(value) <= LONGEST_ECHO else value[: LONGEST_ECHO - 3] + "..."
