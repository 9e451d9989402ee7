"""A job that is one picture, too large to wait for: the way of POST /upscale, from a file to a file."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from service.admission import Admission
from service.body import Upload
from service.codecs import ImageHeader
from service.jobs.record import Facts
from service.jobs.run import JobRun, Outcome
from service.orders import UpscaleParams
from service.telemetry import RequestRecord
from service.upscaler import Upscaler, UpscaleRequest

T = TypeVar("T")


class PictureTask:
    """The JobTask of pictures. It takes part in the admission's account of memory, and waits where that is full."""

    def __init__(self, upscaler: Upscaler, admission: Admission) -> None:
        self._upscaler = upscaler
        self._admission = admission

    async def __call__(self, run: JobRun) -> Outcome:
        """The picture, larger. Raises as Upscaler.answer; Overloaded while requests need the memory."""
        parameters = UpscaleParams(**run.job.parameters)  # type: ignore[arg-type]  # JSON of such parameters
        with self._admission.enter(body_bytes=run.job.source.bytes) as permit:
            content = await asyncio.to_thread(run.input.read_bytes)
            source = _StoredPicture(Upload(content, run.job.source.media_type))
            del content
            record = RequestRecord(run.job.id)
            answer = await self._upscaler.answer(
                UpscaleRequest(source, parameters, permit, record, run.progress, queue_class="jobs")
            )
            path = run.folder / f"result.{answer.media_type.partition('/')[2]}"
            await asyncio.to_thread(path.write_bytes, answer.content)
        return Outcome(path, answer.media_type, _result_facts(answer.headers))


def picture_facts(header: ImageHeader) -> Facts:
    """What a job's document says of a picture that came in."""
    return {"format": header.format, "width": header.width, "height": header.height, "bits": header.bits}


def read_upload(path: Path, media_type: str) -> Upload:
    """The picture in a file. Raises OSError."""
    return Upload(path.read_bytes(), media_type)


def _result_facts(headers: dict[str, str]) -> Facts:
    width, height = headers["X-SR-Size"].split("x")
    return {"width": int(width), "height": int(height), "model_version": headers["X-SR-Model-Version"]}


class _StoredPicture:
    """A picture that lies here already, and whose sender need not stay: a PictureSource."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    async def read(self) -> Upload:
        return self._upload

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        return await work
