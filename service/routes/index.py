"""Index: what this service is, for someone who opens its root."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from service.routes import page
from service.routes.state import TheRegistry, TheSettings

router = APIRouter(tags=["documentation"])


class Limits(BaseModel):
    """What is refused; see the settings of the same names."""

    max_body_bytes: int
    max_input_pixels: int
    max_output_pixels: int
    max_side: int


class Index(BaseModel):
    """Where to go from here."""

    service: str
    models: list[str]
    limits: Limits
    links: dict[str, str]


@router.get(
    "/",
    summary="Where to go from here",
    response_model=Index,
    responses={200: {"content": {"text/html": {}}, "description": "To a browser, the page for people"}},
)
async def index(request: Request, response: Response, registry: TheRegistry, settings: TheSettings) -> Index | Response:
    """The models' names, the limits, and the paths of the rest."""
    if page.is_wanted(request.headers.get("accept")):
        return page.page_response(request)
    response.headers["Vary"] = "Accept"
    return Index(
        service="srserve",
        models=sorted(registry.models),
        limits=Limits.model_validate(settings, from_attributes=True),
        links={
            "upscale": "/upscale",
            "degrade": "/degrade",
            "estimate": "/estimate",
            "jobs": "/jobs",
            "models": "/models",
            "documentation": "/docs",
            "problems": "/problems",
        },
    )
