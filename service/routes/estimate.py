"""POST /estimate: what a request would take, and whether it would be let in, without asking for it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.admission import Admission
from service.body import RequestBody
from service.codecs import INPUT_FORMATS, MEDIA_TYPES, ImageHeader, read_header
from service.errors import BadParameter, ServiceError
from service.estimates import Estimate, Estimator
from service.orders import Order, UpscaleParams
from service.problems import problem_document
from service.routes.documentation import Problem, problems
from service.routes.parameters import known_parameters
from service.routes.pictures import TheDeadline
from service.routes.state import TheRecord, TheRegistry, TheSettings, TheUpscaler
from service.routes.upscale import UpscaleQuery

router = APIRouter(tags=["upscale"])

MAX_HEADER_BYTES = 1 << 20  # enough for any picture's header, with profile and preview


class PictureFacts(BaseModel):
    """A picture, as far as its header would tell."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    width: int = Field(ge=1, le=1_000_000, description="In pixels, as it is shown", examples=[1920])
    height: int = Field(ge=1, le=1_000_000, description="In pixels, as it is shown", examples=[1080])
    alpha: bool = Field(False, description="Whether it has an alpha channel, which is a picture of its own")
    bits: Literal[8, 16] = Field(8, description="Bits a channel")
    format: str = Field("png", description="Of the file", json_schema_extra={"enum": list(INPUT_FORMATS)})
    bytes: int | None = Field(None, ge=1, description="Of the file; without it, one for each pixel")


class PredictedSeconds(BaseModel):
    """From the moment when the body has come. `queue` is what is due to others who are there now, and to
    a service that is busy with them.
    """

    decode: float
    queue: float
    infer: float
    encode: float
    total: float


class EstimateAnswer(BaseModel):
    """What the picture would take. The numbers are missing where it is refused whatever there is room for."""

    accepted: bool = Field(description="Whether it would be let in now")
    problem: Problem | None = Field(None, description="Why not")
    width: int | None = Field(None, description="Of the answer")
    height: int | None = Field(None, description="Of the answer")
    scale: int | None = Field(None, description="That would run")
    tiles: int | None = Field(None, description="Runs of the network, the alpha channel's included")
    pixels: int | None = Field(None, description="That the network would see, halos included")
    peak_bytes: int | None = Field(None, description="Memory that would be reserved for it, the network's own excepted")
    predicted_s: PredictedSeconds | None = None
    measured: bool | None = Field(None, description="Whether the network has been run here, so that this is no guess")
    deadline_s: float = Field(description="Seconds that the answer may take")


async def _body(request: Request, settings: TheSettings) -> RequestBody:
    return RequestBody(
        request.headers,
        request.receive,
        max_bytes=min(MAX_HEADER_BYTES, settings.max_body_bytes),
        timeout_s=settings.body_timeout_s,
    )


REQUEST_BODY = {
    "required": True,
    "description": "The beginning of a picture's file, as much as holds the header (up to a mebibyte), or its size.",
    "content": {
        "application/json": {"schema": PictureFacts.model_json_schema()},
        **{MEDIA_TYPES[name]: {"schema": {"type": "string", "format": "binary"}} for name in INPUT_FORMATS},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


@router.post(
    "/estimate",
    summary="What would one picture take?",
    responses=problems(400, 404, 406, 408, 413, 415, 422),
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(UpscaleQuery))],
    response_model_exclude_none=True,
)
async def estimate(
    request: Request,
    query: Annotated[UpscaleQuery, Query()],
    body: Annotated[RequestBody, Depends(_body)],
    deadline: TheDeadline,
    registry: TheRegistry,
    upscaler: TheUpscaler,
    record: TheRecord,
) -> EstimateAnswer:
    """Takes the parameters of /upscale (and the models of /degrade), and gives the numbers that /upscale itself would
    decide by: `accepted`, or the `problem` that it would answer with. Nothing is decoded or reserved.
    """
    model = registry.get(query.model)
    params = UpscaleParams(**query.model_dump(), direction=model.direction, accept=request.headers.get("accept"))
    params.check(model)
    options = params.options()
    upload = await body.read()
    header, file_bytes = _picture(upload.content, upload.media_type)
    admission: Admission = request.app.state.admission
    estimator: Estimator = request.app.state.estimator
    answer = EstimateAnswer(accepted=False, deadline_s=deadline.seconds)
    try:
        order = Order.of(header, model, options, params, upscaler.limits)
        made = estimator.estimate(order, body_bytes=file_bytes, queue_class=record.queue_class)
        answer = _filled(answer, order, made)
        admission.check_place()
        estimator.check(made, deadline)
        admission.check_room(made.peak_bytes, permit=None)
    except ServiceError as error:
        document = problem_document(error, request_id=record.request_id)
        return answer.model_copy(update={"problem": Problem.model_validate(document)})
    return answer.model_copy(update={"accepted": True})


def _picture(content: bytes, media_type: str) -> tuple[ImageHeader, int]:
    """The header, and the bytes of the file: what is given, or one a pixel, for a header does not say.

    Raises BadParameter where JSON is no PictureFacts, and as read_header.
    """
    if media_type.partition(";")[0].strip().lower() != "application/json":
        header = read_header(content)
        return header, max(header.pixels, len(content))
    try:
        facts = PictureFacts.model_validate_json(content)
    except ValidationError as error:
        faults = [
            {"parameter": ".".join(map(str, fault["loc"])) or "body", "detail": fault["msg"]}
            for fault in error.errors()
        ]
        detail = "; ".join(f"{fault['parameter']}: {fault['detail']}" for fault in faults)
        raise BadParameter(f"{detail}.", members={"errors": faults}) from error
    if facts.format not in INPUT_FORMATS:
        raise BadParameter(
            f"format is {facts.format[:100]!r}; pictures may be {', '.join(INPUT_FORMATS)}.",
            members={"parameter": "format", "available": list(INPUT_FORMATS)},
        )
    header = ImageHeader(facts.format, facts.width, facts.height, facts.bits, has_alpha=facts.alpha, frames=1)
    return header, facts.bytes or header.pixels


def _filled(answer: EstimateAnswer, order: Order, made: Estimate) -> EstimateAnswer:
    forecast = made.forecast
    seconds = {
        "decode": made.decode_s,
        "queue": forecast.queue_s + made.handover_s,
        "infer": forecast.alone_s,
        "encode": made.encode_s,
        "total": made.total_s,
    }
    return answer.model_copy(
        update={
            "width": order.target.width,
            "height": order.target.height,
            "scale": order.target.scale,
            "tiles": made.demand.tiles,
            "pixels": made.demand.tiles * made.demand.tile_pixels,
            "peak_bytes": made.peak_bytes,
            "predicted_s": PredictedSeconds(**{name: round(value, 6) for name, value in seconds.items()}),
            "measured": made.is_measured,
        }
    )
