"""POST /degrade: one picture in, and out what a bad camera would have made of it: few pixels, noise and blur."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.noise import MAX_SEED
from service.orders import UpscaleParams
from service.routes.documentation import problems
from service.routes.parameters import known_parameters
from service.routes.pictures import (
    REQUEST_BODY,
    CompressionField,
    FormatField,
    IfNoneMatch,
    MetadataField,
    PictureResponse,
    QualityField,
    TheBody,
    TheDeadline,
    ThePermit,
    TilingField,
    picture_request,
    picture_response,
    picture_responses,
)
from service.routes.state import TheRecord, TheUpscaler

router = APIRouter(tags=["degrade"])

DRAWN_BITS = 32  # of a seed that the caller leaves to us: short enough to be copied by hand


class DegradeQuery(BaseModel):
    """The query parameters; each at most once, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=64, description="One of those at /models whose endpoint this is", examples=["h2l"])
    scale: int | None = Field(
        None, description="How many times smaller; need not be given where the model has one scale only", examples=[4]
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="Of the noise; without it one is drawn, and stands in X-SR-Seed",
        examples=[7],
    )
    format: FormatField = None
    quality: QualityField = None
    compression: CompressionField = "fast"
    tiling: TilingField = "fast"
    metadata: MetadataField = "keep"


ANSWER = picture_responses(
    "The picture, realistically degraded: each side divided by the scale and rounded up",
    X_SR_Seed="The noise's seed: the same one gives the same picture again",
)


@router.post(
    "/degrade",
    summary="Degrade one picture",
    response_class=PictureResponse,
    responses={**ANSWER, **problems(400, 404, 406, 408, 413, 415, 422, 429, 504)},
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(DegradeQuery))],
)
async def degrade(
    request: Request,
    query: Annotated[DegradeQuery, Query()],
    body: TheBody,
    permit: ThePermit,
    upscaler: TheUpscaler,
    record: TheRecord,
    deadline: TheDeadline,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Takes and gives what /upscale does. The degradation is learnt (Bulat et al. 2018), its noise drawn from `seed`.
    16 bits stay 16 and grey stays grey; alpha is averaged, without noise. Every refusal is a problem document whose
    `code` never changes.
    """
    params = UpscaleParams(
        **query.model_dump(exclude={"seed"}),
        direction="down",
        seed=secrets.randbits(DRAWN_BITS) if query.seed is None else query.seed,
        accept=request.headers.get("accept"),
        if_none_match=if_none_match or (),
    )
    return picture_response(await upscaler.answer(picture_request(body, params, permit, record, deadline)))
