"""Pictures: what all endpoints that take a picture and answer with one have in common."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Request
from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service import deadlines
from service.admission import Admission, Permit
from service.body import FILE_FIELD, RequestBody
from service.codecs import INPUT_FORMATS, MEDIA_TYPES, OUTPUT_FORMATS
from service.deadlines import Deadline
from service.orders import UpscaleParams
from service.routes.state import TheSettings
from service.telemetry import RequestRecord
from service.upscaler import UpscaleAnswer, UpscaleRequest

CHUNK_BYTES = 1 << 20  # of the answer, given to the server at a time: it waits for the client between two

FormatField = Annotated[
    str | None,
    Field(
        description="Format of the answer; without it the Accept header chooses, and PNG is the default",
        json_schema_extra={"enum": list(OUTPUT_FORMATS)},
    ),
]
QualityField = Annotated[int | None, Field(ge=1, le=100, description="Of jpeg, webp and avif; 100 is the best")]
TilingField = Annotated[
    Literal["fast", "exact"],
    Field(
        description="fast: a large picture's tiles overlap by what keeps every value within 1 of 255; "
        "exact: by the network's whole receptive field, so that the answer is the untiled one",
    ),
]
CompressionField = Annotated[
    Literal["fast", "small"],
    Field(description="Of png, which is lossless either way: small takes many times as long, for fewer bytes"),
]
MetadataField = Annotated[Literal["keep", "strip"], Field(description="EXIF and XMP; the colour profile always stays")]
IfNoneMatch = Annotated[
    list[str] | None,
    Header(description="Entity-tags of answers that the caller has; 304, and no work done, if this is one of them"),
]


class PictureResponse(Response):
    """Sends a large answer in pieces, so that it is not copied whole into the socket's buffer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then CHUNK_BYTES at a time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for offset in range(0, len(self.body), CHUNK_BYTES):
            chunk = self.body[offset : offset + CHUNK_BYTES]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def picture_request(
    body: RequestBody, params: UpscaleParams, permit: Permit, record: RequestRecord, deadline: Deadline
) -> UpscaleRequest:
    """In the name of the key that it came with; where there are no keys, of nobody."""
    owner = str(record.facts.get("key", ""))
    return UpscaleRequest(body, params, permit, record, queue_class=record.queue_class, deadline=deadline, owner=owner)


def picture_response(answer: UpscaleAnswer) -> Response:
    """200 with the picture, or 304."""
    if answer.is_known:
        return Response(status_code=304, headers=answer.headers)
    return PictureResponse(answer.content, media_type=answer.media_type, headers=answer.headers)


async def _body(request: Request, settings: TheSettings) -> RequestBody:
    return RequestBody(
        request.headers,
        request.receive,
        max_bytes=settings.max_body_bytes,
        timeout_s=settings.body_timeout_s,
    )


TheBody = Annotated[RequestBody, Depends(_body)]


async def _permit(request: Request, body: TheBody) -> AsyncIterator[Permit]:
    """A place from before the body is read until the answer has been sent: FastAPI leaves the block then."""
    admission: Admission = request.app.state.admission
    with admission.enter(body_bytes=body.bound_bytes) as permit:
        yield permit


ThePermit = Annotated[Permit, Depends(_permit)]


async def _deadline(
    settings: TheSettings,
    milliseconds: Annotated[
        str | None,
        Header(
            alias=deadlines.HEADER,
            description="Milliseconds after which the answer is of no use; the service has a deadline of its own. What "
            "cannot be in time is refused at once, or given up when it turns out so",
        ),
    ] = None,
) -> Deadline:
    return Deadline.asked_for(milliseconds, limit_s=settings.deadline_s)


TheDeadline = Annotated[Deadline, Depends(_deadline)]

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

_HEADERS = {
    "X-Request-ID": "The request's id: the one that it came with, or a new one",
    "X-SR-Model": "The model that ran",
    "X-SR-Model-Version": "The beginning of its weights' sha256",
    "X-SR-Scale": "The scale that ran",
    "X-SR-Size": "Width x height of the answer",
    "X-SR-Tiles": "Tiles that the picture was cut into, its alpha channel's included",
    "X-SR-Tiling": "fast or exact",
    "X-SR-Device": "cpu or cuda",
    "ETag": "Names this answer: the same picture, model, parameters and version give the same",
    "Cache-Control": "private, no-cache: for the caller's own cache, which asks again with If-None-Match",
    "Vary": "Accept, where it chose the format",
    "Cache-Status": "Where answers are kept (RFC 9211): srserve; hit if this one was, srserve; fwd=miss if not",
    "Server-Timing": "Milliseconds of read, decode, queue, infer, encode",
}


def picture_responses(description: str, **more_headers: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation: the picture, and word that the caller has it."""
    headers = _HEADERS | {name.replace("_", "-"): text for name, text in more_headers.items()}
    return {
        200: {
            "description": description,
            "content": {
                MEDIA_TYPES[name]: {"schema": {"type": "string", "format": "binary"}} for name in OUTPUT_FORMATS
            },
            "headers": _described(headers),
        },
        304: {
            "description": "The caller has this answer: If-None-Match names it",
            "headers": _described({name: headers[name] for name in ("ETag", "Cache-Control", "Vary")}),
        },
    }


def _described(headers: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
