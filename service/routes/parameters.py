"""Query parameters: unknown, repeated and missing ones are refused by name, before anything else is looked at."""

import difflib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.errors import BadParameter
from service.problems import shorten
from service.routes.state import TheRegistry


def known_parameters(query: type[BaseModel]) -> Callable[[Request, TheRegistry], Awaitable[None]]:
    """A dependency for an operation whose parameters are `query`, `model` among them; values come later."""
    known = list(query.model_fields)

    async def check(request: Request, registry: TheRegistry) -> None:
        counts = Counter(name for name, _ in request.query_params.multi_items())
        for name, count in counts.items():
            if name not in known:
                raise _unknown(shorten(name), known)
            if count > 1:
                raise BadParameter(f"{name} is given {count} times; give it once.", members={"parameter": name})
        if "model" not in counts:
            raise _missing("model", available=sorted(registry.models))
        if "scale" not in counts and "scale" in known and query.model_fields["scale"].is_required():
            model = registry.get(shorten(request.query_params["model"]))
            raise _missing("scale", available=list(model.scales))

    return check


def _unknown(name: str, known: list[str]) -> BadParameter:
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else "."
    return BadParameter(f"There is no parameter {name!r}{hint}", members={"parameter": name, "known": known})


def _missing(name: str, *, available: list[Any]) -> BadParameter:
    choice = ", ".join(str(value) for value in available)
    return BadParameter(
        f"The parameter {name} is missing; choose one of: {choice}.",
        members={"parameter": name, "available": available},
    )
