"""Health: whether the process lives, and whether it should get requests."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.routes.documentation import problems
from service.routes.state import TheReadiness

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The answer of a healthy process."""

    status: Literal["alive", "ready"]


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Always 200 while the event loop turns, in start-up and shutdown too: it says nothing of the models."""
    return Health(status="alive")


@router.get("/readyz", summary="Should it get requests?", responses=problems(503))
async def readyz(readiness: TheReadiness) -> Health:
    """200 once the models are warm, until shutdown begins; 503 `not-ready` or `draining` otherwise."""
    obstacle = readiness.obstacle()
    if obstacle is not None:
        raise obstacle
    return Health(status="ready")
