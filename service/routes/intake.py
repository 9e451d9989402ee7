"""Intake: what may be asked of a job, and the job that an upload becomes, looked at before it is accepted."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.codecs import INPUT_FORMATS, MEDIA_TYPES, OUTPUT_FORMATS, choose_format, sniff
from service.errors import BadParameter, BodyTooLarge, UnsupportedMedia
from service.jobs.queue import JobQueue
from service.jobs.record import Job, Kind, Source, Steps
from service.jobs.upload import ReceivedFile
from service.jobs_picture import picture_facts, read_upload
from service.jobs_video import require_video, video_facts
from service.orders import UpscaleParams
from service.registry import Registry
from service.upscaler import Upscaler
from service.video.film import VideoUpscaler
from service.video.formats import MEDIA_TYPES as VIDEO_TYPES
from service.video.formats import CodecName, ContainerName, sniff_video
from service.video.plan import check_wishes
from service.video.records import Wishes
from service.video.segments import VideoParams

HEAD_BYTES = 64  # by which a format is known

_OF_PICTURES = frozenset(("format", "quality", "metadata"))
_OF_VIDEOS = frozenset(("codec", "crf", "container", "scene_detection"))


class JobQuery(BaseModel):
    """The query parameters; each at most once, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=64, description="One of those at /models", examples=["edsr"])
    scale: float | None = Field(
        None,
        allow_inf_nan=False,
        description="How many times as large, as of POST /upscale. This, or width or height, must be given, "
        "but of a model with one scale",
        examples=[4],
    )
    width: int | None = Field(None, ge=1, description="Of the result, in pixels, instead of scale")
    height: int | None = Field(
        None, ge=1, description="Of the result, in pixels; with width alone it keeps the proportions, and vice versa"
    )
    tiling: Literal["fast", "exact"] = Field("fast", description="As of POST /upscale")
    ensemble: bool = Field(False, description="As of POST /upscale; of a video, of each frame")
    format: str | None = Field(
        None,
        description="Of a picture: the answer's format; png by default",
        json_schema_extra={"enum": list(OUTPUT_FORMATS)},
    )
    quality: int | None = Field(None, ge=1, le=100, description="Of a picture: jpeg, webp and avif; 100 is the best")
    metadata: Literal["keep", "strip"] = Field("keep", description="Of a picture: EXIF and XMP")
    codec: CodecName = Field("h264", description="Of a video: how its pictures are written; ffv1 is lossless")
    crf: int | None = Field(
        None, ge=0, le=63, description="Of a video: constant rate factor; the lower the better; the codec's by default"
    )
    container: ContainerName | None = Field(
        None, description="Of a video: the source's by default, mkv where that cannot hold the codec"
    )
    scene_detection: Literal["on", "off"] = Field("on", description="Of a video, as of POST /upscale/frames")

    def parameters(self, kind: Kind) -> dict[str, Any]:
        """Those that are for such a job. Raises BadParameter where one was given that is not."""
        foreign = _OF_VIDEOS if kind == "picture" else _OF_PICTURES
        for name in sorted(foreign & self.model_fields_set):
            other = "video" if kind == "picture" else "picture"
            raise BadParameter(f"{name} is for a {other}, and this is a {kind}.", members={"parameter": name})
        return self.model_dump(exclude=set(foreign))

    def check(self, registry: Registry) -> None:
        """What can be refused before anything is read."""
        UpscaleParams(self.model, self.scale, self.width, self.height).check(registry.get(self.model))
        choose_format(self.format, None)
        check_wishes(Wishes(self.codec, self.crf, self.container))

    def fingerprint(self, received: ReceivedFile) -> str:
        """What makes two requests the same: the file's bytes and the parameters."""
        wishes = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(f"{received.sha256} {wishes}".encode()).hexdigest()


class Intake:
    """Makes jobs of uploads. `max_picture_bytes` bounds what is read into memory."""

    def __init__(self, jobs: JobQueue, upscaler: Upscaler, videos: VideoUpscaler, *, max_picture_bytes: int) -> None:
        self._jobs = jobs
        self._upscaler = upscaler
        self._videos = videos
        self._max_picture_bytes = max_picture_bytes

    async def job_of(self, job_id: str, received: ReceivedFile, query: JobQuery) -> Job:
        """The job, if everything that headers tell allows it. Raises as POST /upscale does, and what videos add."""
        path = self._jobs.upload_path(job_id)
        head = await self._jobs.call(_head, path)
        container = sniff_video(head)
        if container is None:
            _check_known(head)
            return await self._picture_job(job_id, received, query.parameters("picture"))
        require_video()
        parameters = query.parameters("video")
        facts = await self._videos.inspect(path, container, VideoParams(**parameters))
        source = Source(received.bytes, received.sha256, VIDEO_TYPES[container], video_facts(facts))
        return Job(job_id, "video", "queued", parameters, source, time.time(), Steps("frames", total=facts.frames))

    async def _picture_job(self, job_id: str, received: ReceivedFile, parameters: dict[str, Any]) -> Job:
        if received.bytes > self._max_picture_bytes:
            raise BodyTooLarge(
                f"The picture has {received.bytes} bytes, and the limit is {self._max_picture_bytes}.",
                members={"limit": self._max_picture_bytes, "actual": received.bytes},
            )
        upload = await self._jobs.call(read_upload, self._jobs.upload_path(job_id), received.media_type)
        header = await self._upscaler.check(upload, UpscaleParams(**parameters))
        source = Source(received.bytes, received.sha256, MEDIA_TYPES[header.format], picture_facts(header))
        return Job(job_id, "picture", "queued", parameters, source, time.time(), Steps("tiles"))


def _check_known(head: bytes) -> None:
    try:
        sniff(head)
    except UnsupportedMedia as error:
        supported = [*VIDEO_TYPES.values(), *(MEDIA_TYPES[name] for name in INPUT_FORMATS)]
        raise UnsupportedMedia(
            f"The file is in no format that is known here. Read are videos ({', '.join(VIDEO_TYPES)}) and pictures "
            f"({', '.join(INPUT_FORMATS)}).",
            members={"supported": supported},
            headers={"Accept": ", ".join(supported)},
        ) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
