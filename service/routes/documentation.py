"""Documentation: the problems in OpenAPI and at the addresses that `type` names, both read off the error tree."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.errors import NotFound, ServiceError
from service.problems import PROBLEM_JSON, shorten

router = APIRouter(tags=["documentation"])


class Problem(BaseModel):
    """Every error's body (RFC 9457). `limit` and `actual` stand with it where a limit was exceeded."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Address that explains the problem", examples=["/problems/unsupported-scale"])
    title: str
    status: int
    detail: str = Field(description="What is wrong with this very request, for people")
    instance: str = Field(description="The request's id, as in X-Request-ID")
    code: str = Field(description="What is wrong, for programs; it never changes", examples=["unsupported-scale"])
    retryable: bool = Field(description="Whether the same request may succeed later")
    retry_after_s: int | None = Field(None, description="Seconds after which it should, as in Retry-After")


class ProblemKind(BaseModel):
    """What is the same about all problems of one code."""

    code: str
    status: int
    title: str
    retryable: bool


@router.get("/problems", summary="All problems that this service can answer with")
async def list_problems() -> list[ProblemKind]:
    """One entry a code, by status and code."""
    return sorted(problem_kinds().values(), key=lambda kind: (kind.status, kind.code))


@router.get("/problems/{code}", summary="What a problem's `type` refers to")
async def get_problem(code: str) -> ProblemKind:
    """The problem of that code."""
    kinds = problem_kinds()
    if code not in kinds:
        raise NotFound(f"No problem has the code {shorten(code)!r}.", members={"available": sorted(kinds)})
    return kinds[code]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that can answer with problems of these statuses, their codes listed."""
    return {
        status: _answer(
            "; ".join(f"`{kind.code}`: {kind.title}" for kind in problem_kinds().values() if kind.status == status)
        )
        for status in statuses
    }


def any_problem() -> dict[int | str, dict[str, Any]]:
    """The `responses` that every operation has: whatever goes wrong is a problem."""
    return {"default": _answer("Whatever else goes wrong")}


def _answer(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}


def problem_classes() -> list[type[ServiceError]]:
    """The class of every problem, by code."""
    return sorted(_descendants(ServiceError), key=lambda kind: kind.code)


def problem_kinds() -> dict[str, ProblemKind]:
    """Every problem by its code."""
    return {
        kind.code: ProblemKind(code=kind.code, status=kind.status, title=kind.title, retryable=kind.retryable)
        for kind in problem_classes()
    }


def _descendants(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
