"""/jobs: work that is not waited for. What got a 202 can be asked for, followed, fetched and canceled."""

import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.body import FILE_FIELD, BodyStream
from service.codecs import INPUT_FORMATS, MEDIA_TYPES
from service.errors import (
    BadRequest,
    JobCanceled,
    JobExpired,
    JobFailed,
    JobNotReady,
    ServiceError,
    StorageFull,
    UnknownJob,
)
from service.jobs.queue import JobQueue
from service.jobs.record import Job
from service.jobs.upload import receive_file
from service.problems import shorten
from service.routes.documentation import problems
from service.routes.downloads import StoredFileResponse
from service.routes.intake import Intake, JobQuery
from service.routes.parameters import known_parameters
from service.routes.state import TheJobs, TheReadiness, TheRecord, TheRegistry, TheSettings, TheUpscaler, TheVideos
from service.video.formats import CONTAINERS
from service.video.formats import MEDIA_TYPES as VIDEO_TYPES

router = APIRouter(prefix="/jobs", tags=["jobs"])

HEARTBEAT_S = 15.0  # of silence in a stream of events, after which a comment keeps proxies from closing it
RECONNECT_MS = 1000
POLL_S = 2  # advised between two questions for a job that has not ended
_VERSION = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class JobProgress(BaseModel):
    """How far a job is. `total` is null until it has been counted, `eta_s` while nothing is known of the speed."""

    unit: Literal["frames", "tiles"]
    done: int
    total: int | None
    fraction: float | None = Field(description="0 to 1")
    eta_s: float | None = Field(description="Seconds until it should be done")


class JobDocument(BaseModel):
    """A job. Times are RFC 3339 in UTC."""

    model_config = ConfigDict(extra="forbid")

    id: str
    kind: Literal["picture", "video"]
    state: Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None = Field(description="When the result will be gone")
    parameters: dict[str, Any]
    source: dict[str, Any] = Field(description="bytes, media_type, width, height, ... of what was sent")
    progress: JobProgress
    waiting_for: str | None = Field(description="Why a queued job that was tried before waits, such as disk space")
    problem: dict[str, Any] | None = Field(description="Why it failed, as a problem document")
    result: dict[str, Any] | None = Field(description="bytes, media_type, sha256, width, height, ... of the result")
    links: dict[str, str]


class EventStreamResponse(StreamingResponse):
    """Server-sent events. FastAPI's own class wants the route to be their generator, which can answer nothing else."""

    media_type = "text/event-stream"


async def _body(request: Request, settings: TheSettings) -> BodyStream:
    return BodyStream(request.headers, request.receive, max_bytes=settings.max_job_bytes)


async def _intake(jobs: TheJobs, upscaler: TheUpscaler, videos: TheVideos, settings: TheSettings) -> Intake:
    return Intake(jobs, upscaler, videos, max_picture_bytes=settings.max_body_bytes)


def _key(header: str | None, *, holder: object) -> str | None:
    """The Idempotency-Key, a holder's own; the draft wants quotes around it, and most clients leave them out."""
    if header is None:
        return None
    key = header.removeprefix('"').removesuffix('"')
    if _KEY.fullmatch(key) is None:
        raise BadRequest("Idempotency-Key is 1 to 255 printable ASCII characters without spaces.")
    return f"{holder} {key}" if holder else key


_BINARY = {"schema": {"type": "string", "format": "binary"}}
REQUEST_BODY = {
    "required": True,
    "description": "One video or picture, as bytes or as a form's one part; what it is, its bytes tell.",
    "content": {
        **{VIDEO_TYPES[name]: _BINARY for name in CONTAINERS},
        **{MEDIA_TYPES[name]: _BINARY for name in INPUT_FORMATS},
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {FILE_FIELD: _BINARY["schema"]},
                "required": [FILE_FIELD],
                "additionalProperties": False,
            }
        },
    },
}
ACCEPTED = {
    "model": JobDocument,
    "description": "Accepted; it will be run, whatever becomes of this process",
    "headers": {
        "Location": {"description": "Where the job can be asked for", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds after which to ask", "schema": {"type": "integer"}},
        "Idempotency-Replayed": {
            "description": "true where the Idempotency-Key came before: it is the job of that time",
            "schema": {"type": "string"},
        },
    },
}


@router.post(
    "",
    summary="Hand in a video, or a picture that is too large to wait for",
    status_code=202,
    responses={202: ACCEPTED, **problems(400, 404, 408, 409, 413, 415, 422, 429, 507)},
    openapi_extra={"requestBody": REQUEST_BODY},
    dependencies=[Depends(known_parameters(JobQuery))],
)
async def create_job(
    query: Annotated[JobQuery, Query()],
    body: Annotated[BodyStream, Depends(_body)],
    jobs: TheJobs,
    intake: Annotated[Intake, Depends(_intake)],
    registry: TheRegistry,
    settings: TheSettings,
    record: TheRecord,
    idempotency_key: Annotated[str | None, Header(description="The same key gives the same job, once")] = None,
) -> Response:
    """Everything that can be told without running the network is told at once, as by POST /upscale. After a 202 the
    job survives a restart of the service, and goes on where it was.
    """
    key = _key(idempotency_key, holder=record.facts.get("key"))
    query.check(registry)
    with jobs.claim(key):
        await jobs.make_room(body.declared_bytes or 0)
        job_id, file = await jobs.begin_upload()
        try:
            received = await receive_file(body, file, timeout_s=settings.body_timeout_s)
            file.flush()
            await jobs.make_room(received.bytes)
            job = await intake.job_of(job_id, received, query)
            record.facts |= {"input_pixels": job.source.pixels}  # on the key's account now, though it runs later
            job, is_new = await jobs.submit(job, file, key=key, fingerprint=query.fingerprint(received))
        except OSError as error:
            raise StorageFull("The upload could not be written to the disk.", retry_after_s=60) from error
        finally:
            file.close()
            await jobs.drop_upload(job_id)
    record.facts |= {"job": job.id, "model": query.model, "body_bytes": received.bytes}
    if query.scale in registry.get(query.model).scales:  # others would be a time series each
        record.facts |= {"scale": int(query.scale)}
    headers = {"Location": f"/jobs/{job.id}", "Retry-After": str(POLL_S), "Cache-Control": "no-store"}
    if not is_new:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(jobs.document(job), status_code=202, headers=headers)


@router.get("/{job_id}", summary="How far a job is", response_model=JobDocument, responses=problems(404))
async def get_job(job_id: str, jobs: TheJobs) -> Response:
    """The job's document."""
    job = await jobs.get(shorten(job_id))
    headers = {"Cache-Control": "no-store"} | ({} if job.finished else {"Retry-After": str(POLL_S)})
    return JSONResponse(jobs.document(job), headers=headers)


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_class=EventStreamResponse,
    responses={
        200: {"description": "Events `state` and `progress`, each with the job's document, until it has ended"},
        204: {"description": "Last-Event-ID was the last one: nothing will follow"},
        **problems(404),
    },
)
async def follow_job(
    job_id: str,
    jobs: TheJobs,
    readiness: TheReadiness,
    last_event_id: Annotated[str | None, Header(description="The stream goes on after that event")] = None,
) -> Response:
    """Server-sent events (the browser's EventSource). Each carries the whole document, so who was away misses nothing
    by getting the newest only; an event's `id`, sent as Last-Event-ID, keeps what was seen from being sent again.
    """
    job = await jobs.get(shorten(job_id))
    seen = int(last_event_id) if last_event_id and _VERSION.fullmatch(last_event_id) else 0
    if job.finished and seen >= job.version:
        return Response(status_code=204)
    content = _events(jobs, job.id, seen, readiness)
    return EventStreamResponse(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _events(jobs: JobQueue, job_id: str, seen: int, readiness: TheReadiness) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RECONNECT_MS)
    state = ""
    told_at = time.monotonic()
    with suppress(UnknownJob):  # forgotten meanwhile
        async for job in jobs.follow(job_id, seen):
            if job is not None:
                name = "progress" if job.state == state else "state"
                state, told_at = job.state, time.monotonic()
                yield format_sse_event(event=name, id=str(job.version), data_str=json.dumps(jobs.document(job)))
            elif time.monotonic() - told_at > HEARTBEAT_S:
                told_at = time.monotonic()
                yield format_sse_event(comment="still here")
            if readiness.draining:
                return  # the client comes back, to a process that stays


@router.get(
    "/{job_id}/result",
    summary="The result's file",
    response_class=StoredFileResponse,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": _BINARY}},
        206: {"description": "The part of it that Range names"},
        304: {"description": "If-None-Match named it"},
        **problems(400, 404, 409, 410, 416),
    },
)
async def get_result(job_id: str, jobs: TheJobs, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The file, with Range, If-Range and a strong ETag (its sha256): a download that broke off is gone on with."""
    job = await jobs.get(shorten(job_id))
    if job.state != "succeeded" or job.result is None:
        raise _no_result(job)
    etag = f'"{job.result.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")] or if_none_match == "*":
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    path = jobs.result_path(job)
    return StoredFileResponse(
        path, media_type=job.result.media_type, headers=headers, filename=f"{job.id}{path.suffix}"
    )


def _no_result(job: Job) -> ServiceError:
    match job.state:
        case "failed":
            return JobFailed("The job has failed; `problem` says why.", members={"problem": job.problem})
        case "canceled":
            return JobCanceled("The job was canceled.")
        case "expired":
            return JobExpired("The result was kept as long as it could be, or deleted on request. Send the job again.")
        case _:
            return JobNotReady(f"The job is {job.state}.", retry_after_s=POLL_S, members={"state": job.state})


@router.delete("/{job_id}", summary="Cancel a job", response_model=JobDocument, responses=problems(404))
async def cancel_job(job_id: str, jobs: TheJobs) -> Response:
    """A job that waits or runs is canceled at once; of one that has succeeded, the result is deleted, and it has
    expired. Anything else is left as it is, so to ask twice does no harm.
    """
    job = await jobs.cancel(shorten(job_id))
    return JSONResponse(jobs.document(job), headers={"Cache-Control": "no-store"})
