"""POST /upscale/frames: a clip, picture by picture; the first answer leaves before the last frame has come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.admission import Admission, Permit
from service.body import BodyStream
from service.codecs import MEDIA_TYPES, OUTPUT_FORMATS, choose_media_type
from service.errors import ClientClosed, ServiceError
from service.frames.answer import CONTAINERS, Container, Part, container_of, frame_part, problem_part, summary_part
from service.frames.parts import FRAME_FIELD
from service.frames.stream import Clip, ClipUpscaler, FrameAnswer, FrameFailure, FramesParams
from service.problems import problem_document
from service.routes.documentation import problems
from service.routes.parameters import known_parameters
from service.routes.state import TheRecord, TheSettings
from service.upscaler import model_version

router = APIRouter(tags=["upscale"])

CHUNK_BYTES = 1 << 20  # given to the server at a time: it waits for the client between two


class FramesQuery(BaseModel):
    """The query parameters; each at most once, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=64, description="One of those at /models", examples=["vespcn"])
    scale: int = Field(description="How many times as large; one of the model's scales", examples=[4])
    format: str | None = Field(
        None, description="Format of each answer; png by default", json_schema_extra={"enum": list(OUTPUT_FORMATS)}
    )
    quality: int | None = Field(None, ge=1, le=100, description="Of jpeg, webp and avif; 100 is the best")
    tiling: Literal["fast", "exact"] = Field("fast", description="As of POST /upscale")
    metadata: Literal["keep", "strip"] = Field("keep", description="EXIF and XMP; the colour profile always stays")
    scene_detection: Literal["on", "off"] = Field(
        "on", description="Whether a network that looks at neighbouring frames is kept from looking across a cut"
    )


class FramesSummary(BaseModel):
    """The last part. `complete` is false where the clip ended too early, for the reason in the part before."""

    frames: int
    succeeded: int
    failed: int
    cuts: list[int] = Field(description="Frames that begin a new shot")
    complete: bool
    model: str
    model_version: str
    scale: int
    device: str


class FramesResponse(Response):
    """Answers while the frames come. The status is that of the first frame: until then a problem can be the answer."""

    def __init__(self, clip: Clip, body: BodyStream, container: Container, record: TheRecord) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        self.headers["Content-Type"] = container.media_type
        del self.headers["Content-Length"]
        self._clip = clip
        self._body = body
        self._container = container
        self._record = record
        self._started = False
        self._counts = {"succeeded": 0, "failed": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises ServiceError before the first frame, and ClientClosed at any time."""
        await self._body.while_connected(self._run(send))

    async def _run(self, send: Send) -> None:
        fatal: ServiceError | None = None
        try:
            async with aclosing(self._clip.answers()) as answers:
                async for answer in answers:
                    await self._send(send, await asyncio.to_thread(self._container.add, self._part(answer)))
        except ClientClosed:
            raise
        except ServiceError as error:
            if not self._started:
                raise
            fatal = error
            document = problem_document(error, request_id=self._record.request_id)
            await self._send(send, self._container.add(problem_part(None, document)))
        self._note(fatal)
        await self._send(send, self._container.add(summary_part(self._summary(fatal))) + self._container.end())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _part(self, answer: FrameAnswer | FrameFailure) -> Part:
        if isinstance(answer, FrameFailure):
            self._counts["failed"] += 1
            return problem_part(answer.index, problem_document(answer.error, request_id=self._record.request_id))
        self._counts["succeeded"] += 1
        name = self._clip.options.format
        return frame_part(answer.index, answer.content, format_name=name, media_type=MEDIA_TYPES[name])

    async def _send(self, send: Send, content: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for offset in range(0, len(content), CHUNK_BYTES):
            chunk = content[offset : offset + CHUNK_BYTES]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    def _summary(self, fatal: ServiceError | None) -> dict[str, object]:
        graph = self._clip.graph
        summary = FramesSummary(
            frames=sum(self._counts.values()),
            **self._counts,
            cuts=self._clip.cuts,
            complete=fatal is None,
            model=graph.manifest.model,
            model_version=model_version(graph),
            scale=graph.manifest.scale,
            device=graph.session.device,
        )
        return summary.model_dump()

    def _note(self, fatal: ServiceError | None) -> None:
        self._record.facts |= {
            "frames": sum(self._counts.values()),
            "frames_failed": self._counts["failed"],
            "cuts": len(self._clip.cuts),
            "body_bytes": self._body.received_bytes,
        }
        if fatal is not None:
            self._record.facts |= {"ended_by": fatal.code, "ended_detail": fatal.detail}


async def _body(request: Request) -> BodyStream:
    return BodyStream(request.headers, request.receive, max_bytes=None)


async def _permit(request: Request, settings: TheSettings) -> AsyncIterator[Permit]:
    """A place until the answer has been sent: FastAPI leaves the block then."""
    admission: Admission = request.app.state.admission
    with admission.enter(body_bytes=settings.max_body_bytes) as permit:
        yield permit


async def _clips(request: Request) -> ClipUpscaler:
    clips: ClipUpscaler = request.app.state.clips
    return clips


_BINARY = {"type": "string", "format": "binary"}
REQUEST_BODY = {
    "required": True,
    "description": "The frames in order, each a part `frame`, in any format of /upscale, all of one size and depth.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {FRAME_FIELD: {"type": "array", "items": _BINARY}},
                "required": [FRAME_FIELD],
                "additionalProperties": False,
            }
        }
    },
}
ANSWER = {
    "description": "A part for each frame, in order (its number in `X-Frame-Index`): the picture, larger, or a problem "
    "document where there is none. The last part is the summary.",
    "content": {name: {"schema": _BINARY} for name in CONTAINERS},
}


@router.post(
    "/upscale/frames",
    summary="Upscale a clip, frame by frame",
    response_class=Response,
    responses={200: ANSWER, **problems(400, 404, 406, 408, 415, 422, 429)},
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(FramesQuery))],
)
async def upscale_frames(
    request: Request,
    query: Annotated[FramesQuery, Query()],
    body: Annotated[BodyStream, Depends(_body)],
    permit: Annotated[Permit, Depends(_permit)],
    clips: Annotated[ClipUpscaler, Depends(_clips)],
    record: TheRecord,
) -> FramesResponse:
    """Frames are read, enlarged and answered as a stream: a client has to read while it sends, or both will wait for
    each other. A frame that is damaged gets a problem in its place, and the others are made from those that are there.
    """
    container = container_of(choose_media_type(request.headers.get("accept"), CONTAINERS))
    clip = clips.open(body, FramesParams(**query.model_dump()), permit, record)
    return FramesResponse(clip, body, container, record)
