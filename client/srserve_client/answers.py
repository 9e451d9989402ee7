"""Answers: what came back, and what went wrong where it is no success. No bytes are read or sent here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from srserve_client.errors import NotModified, ProblemError, SrserveError, UnexpectedAnswer
from srserve_client.problems import PROBLEMS

T = TypeVar("T")

PROBLEM_JSON = "application/problem+json"
LONGEST_EXCERPT = 200  # characters of an unexpected answer that the error's message repeats


@dataclass(frozen=True)
class Answer:
    """A whole answer. `headers` takes names in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    request_id: str
    attempts: int = 1

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return media_type(self.headers)

    def json(self) -> object:
        """The content as JSON. Raises UnexpectedAnswer when it is none."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise UnexpectedAnswer(
                f"The answer is not JSON but {_excerpt(self.content)!r}: is srserve at this address?",
                status=self.status,
            ) from error


def parsed(answer: Answer, parse: Callable[[dict[str, Any]], T]) -> T:
    """What `parse` makes of the JSON object in an answer. Raises UnexpectedAnswer when it holds something else."""
    return _parsed(answer.json(), parse, status=answer.status)


def parsed_list(answer: Answer, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """What `parse` makes of each JSON object in an answer's list. Raises UnexpectedAnswer as `parsed` does."""
    documents = answer.json()
    if not isinstance(documents, list):
        raise UnexpectedAnswer(f"The answer is no list but {type(documents).__name__}.", status=answer.status)
    return [_parsed(document, parse, status=answer.status) for document in documents]


def parsed_text(text: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """The same for JSON in a text."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UnexpectedAnswer(f"{text[:LONGEST_EXCERPT]!r} is not JSON.") from error
    return _parsed(document, parse, status=0)


def _parsed(document: object, parse: Callable[[dict[str, Any]], T], *, status: int) -> T:
    if not isinstance(document, dict):
        raise UnexpectedAnswer(f"The answer has {type(document).__name__} where srserve has an object.", status=status)
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswer(f"The answer is JSON but not srserve's: {error!r}.", status=status) from error


def media_type(headers: Mapping[str, str]) -> str:
    """The Content-Type without its parameters, lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def error_of(answer: Answer) -> SrserveError:
    """The error that an answer without success stands for, with the request's id and its number of attempts."""
    error = _error_of(answer)
    error.request_id = answer.headers.get("x-request-id", answer.request_id)
    error.attempts = answer.attempts
    return error


def problem_of(document: Mapping[str, object], *, retry_after_s: float | None = None) -> ProblemError:
    """The error that a problem document stands for.

    A code that this version does not know becomes the nearest class that it knows: the one for its status.
    """
    code, status = document.get("code"), document.get("status")
    kind = PROBLEMS.get(code) if isinstance(code, str) else None
    kind = kind or _BY_STATUS.get(status if isinstance(status, int) else 0, ProblemError)
    error = kind(str(document.get("detail", kind.title)), members=document, retry_after_s=retry_after_s)
    if isinstance(code, str):
        error.code = code
    if isinstance(status, int):
        error.status = status
    if isinstance(document.get("title"), str):
        error.title = str(document["title"])
    if isinstance(document.get("retryable"), bool):
        error.retryable = bool(document["retryable"])
    elif error.code not in PROBLEMS:
        error.retryable = None  # what is known of the class says nothing of this one
    seconds = document.get("retry_after_s")
    if error.retry_after_s is None and isinstance(seconds, int | float):
        error.retry_after_s = float(seconds)
    if isinstance(document.get("instance"), str):
        error.request_id = str(document["instance"])
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which is a number of them or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _error_of(answer: Answer) -> SrserveError:
    if answer.status == NotModified.status:
        return NotModified(answer.headers.get("etag", ""))
    pause = retry_after_s(answer.headers)
    if answer.media_type == PROBLEM_JSON:
        document = answer.json()
        if isinstance(document, dict):
            return problem_of(document, retry_after_s=pause)
    location = answer.headers.get("location")
    said = f"sends to {location}" if location else f"says {_excerpt(answer.content)!r}"
    return UnexpectedAnswer(
        f"The answer {answer.status} is not srserve's and {said}: a gateway's, or another server's address?",
        status=answer.status,
        retry_after_s=pause,
    )


def _excerpt(content: bytes) -> str:
    text = " ".join(content[: 4 * LONGEST_EXCERPT].decode("utf-8", "replace").split())
    return text if len(text) <= LONGEST_EXCERPT else text[: LONGEST_EXCERPT - 3] + "..."


# The highest class in the tree for each status, which comes last here.
_BY_STATUS = {kind.status: kind for kind in sorted(PROBLEMS.values(), key=lambda kind: -len(kind.__mro__))}
