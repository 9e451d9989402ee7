"""The fake's jobs: done the moment they are handed in, unless a test holds them."""

import functools
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx2

from srserve_client.errors import ProblemError
from srserve_client.problems import (
    IdempotencyKeyReused,
    JobCanceled,
    JobExpired,
    JobFailed,
    JobNotReady,
    UnknownJob,
    UnsupportedMedia,
)
from srserve_client.testing.documents import VERSION, problem_document
from srserve_client.testing.parameters import Parameters
from srserve_client.testing.pictures import READ_TYPES, Maker, opened

STEPS = 4
POLL_S = 2
VIDEO_TYPES = ("video/mp4", "video/quicktime", "video/x-matroska", "video/webm")
LINKS = {"self": "", "events": "/events", "result": "/result"}


@dataclass
class FakeJob:
    """One job; `state` may be set by a test, and those who follow it are told."""

    id: str
    parameters: Parameters
    source: bytes
    state: Literal["queued", "running", "succeeded", "failed", "canceled", "expired"] = "queued"
    done: int = 0
    problem: dict[str, Any] | None = None
    result: bytes = b""
    result_facts: dict[str, Any] | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_finished(self) -> bool:
        """Whether it will not go on."""
        return self.state not in ("queued", "running")

    def document(self) -> dict[str, Any]:
        """As the service shows it."""
        image = opened(self.source)
        finished = _time(self.created_at) if self.is_finished else None
        expires = _time(self.created_at + timedelta(days=1)) if self.state == "succeeded" else None
        return {
            "id": self.id,
            "kind": "picture",
            "state": self.state,
            "created_at": _time(self.created_at),
            "started_at": None if self.state == "queued" else _time(self.created_at),
            "finished_at": finished,
            "expires_at": expires,
            "parameters": dict(self.parameters.raw),
            "source": {"bytes": len(self.source), "width": image.width, "height": image.height},
            "progress": {
                "unit": "tiles",
                "done": self.done,
                "total": STEPS,
                "fraction": self.done / STEPS,
                "eta_s": 0.0 if self.state == "running" else None,
            },
            "waiting_for": None,
            "problem": self.problem,
            "result": self.result_facts,
            "links": {
                "self": f"/jobs/{self.id}",
                "events": f"/jobs/{self.id}/events",
                "result": f"/jobs/{self.id}/result",
            },
        }


class FakeJobs:
    """All jobs. `is_held` True: they stay queued until it is False and `run` is called."""

    def __init__(self, make: Maker) -> None:
        self.all: dict[str, FakeJob] = {}
        self.is_held = False
        self._make = make
        self._keys: dict[str, tuple[str, str]] = {}
        self._news = threading.Condition()

    def create(self, request: httpx2.Request, parameters: Parameters) -> httpx2.Response:
        """POST /jobs."""
        content = request.read()
        try:
            opened(content)
        except UnsupportedMedia as error:  # videos too: the fake knows their types, and reads none
            members = {"supported": [*VIDEO_TYPES, *READ_TYPES]}
            raise UnsupportedMedia(error.detail, members=members) from error
        key = request.headers.get("idempotency-key", "").strip('"')
        fingerprint = hashlib.sha256(repr(sorted(parameters.raw.items())).encode() + content).hexdigest()
        replayed: dict[str, str] = {}
        if key in self._keys:
            job_id, known = self._keys[key]
            if known != fingerprint:
                raise IdempotencyKeyReused(f"The key {key!r} stands for another request.")
            replayed = {"Idempotency-Replayed": "true"}
        else:
            job_id = uuid.uuid4().hex
            self.all[job_id] = FakeJob(job_id, parameters, content)
            if key:
                self._keys[key] = (job_id, fingerprint)
        headers = {"Location": f"/jobs/{job_id}", "Retry-After": str(POLL_S), "Cache-Control": "no-store", **replayed}
        answer = httpx2.Response(202, json=self.all[job_id].document(), headers=headers)
        if not self.is_held:
            self.run(job_id)
        return answer

    def run(self, job_id: str) -> None:
        """Do all of its steps, if it has not ended."""
        job = self._get(job_id)
        while not job.is_finished and job.done < STEPS:
            with self._news:
                job.state, job.done = "running", job.done + 1
                self._news.notify_all()
        with self._news:
            if not job.is_finished:
                self._finish(job)
            self._news.notify_all()

    def get(self, job_id: str) -> httpx2.Response:
        """GET /jobs/{id}."""
        job = self._get(job_id)
        pause = {} if job.is_finished else {"Retry-After": str(POLL_S)}
        return httpx2.Response(200, json=job.document(), headers={"Cache-Control": "no-store", **pause})

    def cancel(self, job_id: str) -> httpx2.Response:
        """DELETE /jobs/{id}."""
        job = self._get(job_id)
        with self._news:
            if not job.is_finished:
                job.state = "canceled"
            elif job.state == "succeeded":
                job.state, job.result_facts = "expired", job.result_facts
            self._news.notify_all()
        return httpx2.Response(200, json=job.document(), headers={"Cache-Control": "no-store"})

    def events(self, job_id: str, *, to_its_end: bool) -> httpx2.Response:
        """GET /jobs/{id}/events: the job, and, to its end, whenever it has changed."""
        job = self._get(job_id)
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
        events = self._follow(job)
        return httpx2.Response(200, content=events if to_its_end else next(events), headers=headers)

    def result(self, request: httpx2.Request, job_id: str) -> httpx2.Response:
        """GET /jobs/{id}/result, with Range and If-Range."""
        job = self._get(job_id)
        if job.state != "succeeded" or job.result_facts is None:
            raise _no_result(job)
        etag = f'"{job.result_facts["sha256"]}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": job.result_facts["media_type"]}
        wanted = request.headers.get("range", "")
        if wanted.startswith("bytes=") and request.headers.get("if-range", etag) == etag:
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(job.result) - 1}/{len(job.result)}"
            return httpx2.Response(206, content=job.result[first:], headers=headers)
        return httpx2.Response(200, content=job.result, headers=headers)

    def _get(self, job_id: str) -> FakeJob:
        if job_id not in self.all:
            raise UnknownJob(f"There is no job {job_id!r}, or not any more.")
        return self.all[job_id]

    def _finish(self, job: FakeJob) -> None:
        try:
            job.result, media_type, width, height = self._make(job.source, job.parameters)
        except ProblemError as error:
            job.state, job.problem = "failed", problem_document(error, job.id)
            return
        digest = hashlib.sha256(job.result).hexdigest()
        size = {"width": width, "height": height, "model_version": VERSION}
        job.result_facts = {"bytes": len(job.result), "media_type": media_type, "sha256": digest, **size}
        job.state = "succeeded"

    def _follow(self, job: FakeJob) -> Iterator[bytes]:
        number, told = 0, ""
        while True:
            with self._news:
                self._news.wait_for(functools.partial(_has_news, job, told))
                told, is_last = json.dumps(job.document()), job.is_finished
            number += 1
            yield f"event: state\ndata: {told}\nid: {'end' if is_last else f'1-{number}'}\n\n".encode()
            if is_last:
                return


def _has_news(job: FakeJob, told: str) -> bool:
    return json.dumps(job.document()) != told


def _no_result(job: FakeJob) -> ProblemError:
    match job.state:
        case "failed":
            return JobFailed("The job has failed; `problem` says why.", members={"problem": job.problem})
        case "canceled":
            return JobCanceled("The job was canceled.")
        case "expired":
            return JobExpired("The result is no longer kept.")
        case _:
            return JobNotReady(f"The job is {job.state}.", members={"state": job.state}, retry_after_s=POLL_S)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
