"""POST /upscale: one picture in, the same picture larger out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

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

router = APIRouter(tags=["upscale"])


class UpscaleQuery(BaseModel):
    """The query parameters; each at most once, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=64, description="One of those at /models", examples=["edsr"])
    scale: float | None = Field(
        None,
        allow_inf_nan=False,
        description="How many times as large: one of the model's scales, or anything from 1 to its largest, for which "
        "the next larger scale runs and its answer is reduced. This, or width or height, must be given, "
        "but of a model with one scale",
        examples=[4],
    )
    width: int | None = Field(None, ge=1, description="Of the answer, in pixels, instead of scale")
    height: int | None = Field(
        None,
        ge=1,
        description="Of the answer, in pixels; with width alone it keeps the proportions, and the other way round",
    )
    format: FormatField = None
    quality: QualityField = None
    compression: CompressionField = "fast"
    tiling: TilingField = "fast"
    ensemble: bool = Field(
        False,
        description="The mean of the network's answers to the picture's 8 orientations: better, in 8 times the time",
    )
    metadata: MetadataField = "keep"


ANSWER = picture_responses(
    "The picture, larger; all that the source held (alpha, 16 bits, profile) kept where the format can hold it",
    X_SR_Reduction="The filter, where the answer was reduced to the size asked for",
    X_SR_Ensemble="x8, where that was asked for",
)


@router.post(
    "/upscale",
    summary="Upscale one picture",
    response_class=PictureResponse,
    responses={**ANSWER, **problems(400, 404, 406, 408, 413, 415, 422, 429, 504)},
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(UpscaleQuery))],
)
async def upscale(
    request: Request,
    query: Annotated[UpscaleQuery, Query()],
    body: TheBody,
    permit: ThePermit,
    upscaler: TheUpscaler,
    record: TheRecord,
    deadline: TheDeadline,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Formats in: PNG, JPEG, WebP, AVIF, TIFF, BMP, known by their content. Alpha is upscaled by the network, 16 bits
    stay 16 in PNG and TIFF, grey stays grey, the EXIF orientation is applied, and the colour profile is kept.
    Animated pictures are refused. Every refusal is a problem document whose `code` never changes.
    """
    params = UpscaleParams(
        **query.model_dump(),
        accept=request.headers.get("accept"),
        if_none_match=if_none_match or (),
    )
    return picture_response(await upscaler.answer(picture_request(body, params, permit, record, deadline)))
