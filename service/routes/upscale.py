"""POST /upscale: one picture in, the same picture `scale` times as large out."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.admission import Admission, Permit
from service.body import FILE_FIELD, RequestBody
from service.codecs import INPUT_FORMATS, MEDIA_TYPES, OUTPUT_FORMATS
from service.routes.documentation import problems
from service.routes.parameters import known_parameters
from service.routes.state import TheRecord, TheSettings, TheUpscaler
from service.upscaler import UpscaleParams, UpscaleRequest

router = APIRouter(tags=["upscale"])

CHUNK_BYTES = 1 << 20  # of the answer, given to the server at a time: it waits for the client between two


class UpscaleQuery(BaseModel):
    """The query parameters; each at most once, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=64, description="One of those at /models", examples=["edsr"])
    scale: int = Field(description="How many times as large; one of the model's scales", examples=[4])
    format: str | None = Field(
        None,
        description="Format of the answer; without it the Accept header chooses, and PNG is the default",
        json_schema_extra={"enum": list(OUTPUT_FORMATS)},
    )
    quality: int | None = Field(None, ge=1, le=100, description="Of jpeg, webp and avif; 100 is the best")
    tiling: Literal["fast", "exact"] = Field(
        "fast",
        description="fast: a large picture's tiles overlap by what keeps every value within 1 of 255; "
        "exact: by the network's whole receptive field, so that the answer is the untiled one",
    )
    metadata: Literal["keep", "strip"] = Field("keep", description="EXIF and XMP; the colour profile always stays")


class PictureResponse(Response):
    """Sends a large answer in pieces, so that it is not copied whole into the socket's buffer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then CHUNK_BYTES at a time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for offset in range(0, len(self.body), CHUNK_BYTES):
            chunk = self.body[offset : offset + CHUNK_BYTES]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(request: Request, settings: TheSettings) -> RequestBody:
    return RequestBody(
        request.headers,
        request.receive,
        max_bytes=settings.max_body_bytes,
        timeout_s=settings.body_timeout_s,
    )


async def _permit(request: Request, body: Annotated[RequestBody, Depends(_body)]) -> AsyncIterator[Permit]:
    """A place from before the body is read until the answer has been sent: FastAPI leaves the block then."""
    admission: Admission = request.app.state.admission
    with admission.enter(body_bytes=body.bound_bytes) as permit:
        yield permit


REQUEST_BODY = {
    "required": True,
    "description": "One picture, as bytes or as a form's one part.",
    "content": {
        **{MEDIA_TYPES[name]: {"schema": {"type": "string", "format": "binary"}} for name in INPUT_FORMATS},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {FILE_FIELD: {"type": "string", "format": "binary"}},
                "required": [FILE_FIELD],
                "additionalProperties": False,
            }
        },
    },
}

ANSWER_HEADERS = {
    "X-Request-ID": "The request's id: the one that it came with, or a new one",
    "X-SR-Model": "The model that ran",
    "X-SR-Model-Version": "The beginning of its weights' sha256",
    "X-SR-Scale": "How many times as large the answer is",
    "X-SR-Tiles": "Tiles that the picture was cut into, its alpha channel's included",
    "X-SR-Tiling": "fast or exact",
    "X-SR-Device": "cpu or cuda",
    "Server-Timing": "Milliseconds of read, decode, queue, infer, encode",
}

ANSWER = {
    "description": "The picture, larger; all that the source held (alpha, 16 bits, profile) kept where the "
    "format can hold it",
    "content": {MEDIA_TYPES[name]: {"schema": {"type": "string", "format": "binary"}} for name in OUTPUT_FORMATS},
    "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in ANSWER_HEADERS.items()},
}


@router.post(
    "/upscale",
    summary="Upscale one picture",
    response_class=PictureResponse,
    responses={200: ANSWER, **problems(400, 404, 406, 408, 413, 415, 422, 429)},
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(UpscaleQuery))],
)
async def upscale(
    request: Request,
    query: Annotated[UpscaleQuery, Query()],
    body: Annotated[RequestBody, Depends(_body)],
    permit: Annotated[Permit, Depends(_permit)],
    upscaler: TheUpscaler,
    record: TheRecord,
) -> PictureResponse:
    """Formats in: PNG, JPEG, WebP, AVIF, TIFF, BMP, known by their content. Alpha is upscaled by the network, 16 bits
    stay 16 in PNG and TIFF, grey stays grey, the EXIF orientation is applied, and the colour profile is kept.
    Animated pictures are refused. Every refusal is a problem document whose `code` never changes.
    """
    accept = request.headers.get("accept")
    params = UpscaleParams(**query.model_dump(), accept=accept)
    answer = await upscaler.upscale(UpscaleRequest(body, params, permit, record, queue_class=record.queue_class))
    headers = answer.headers if query.format else answer.headers | {"Vary": "Accept"}
    return PictureResponse(answer.content, media_type=answer.media_type, headers=headers)
