"""A job that is a video file: the task that the queue runs, and what its document says of the source."""

import importlib.util

from service.errors import UnsupportedMedia
from service.jobs.record import Facts
from service.jobs.run import JobRun, Outcome
from service.video.film import VideoUpscaler
from service.video.formats import CONTAINERS
from service.video.records import VideoFacts
from service.video.segments import VideoParams


class VideoTask:
    """The JobTask of videos."""

    def __init__(self, upscaler: VideoUpscaler) -> None:
        self._upscaler = upscaler

    async def __call__(self, run: JobRun) -> Outcome:
        """The video, larger. Raises as VideoUpscaler.make."""
        require_video()
        container = next(name for name in CONTAINERS if name == run.job.source.facts["container"])
        parameters = VideoParams(**run.job.parameters)  # type: ignore[arg-type]  # JSON of such parameters
        return await self._upscaler.make(run, parameters, container)


def require_video() -> None:
    """Raises UnsupportedMedia where the service was installed without what reads video."""
    if importlib.util.find_spec("av") is None:
        raise UnsupportedMedia("This service takes no videos: it was installed without the extra `video` (PyAV).")


def video_facts(facts: VideoFacts) -> Facts:
    """What a job's document says of a video that came in."""
    return {
        "container": facts.container,
        "codec": facts.codec,
        "width": facts.width,
        "height": facts.height,
        "pixel_format": facts.pixel_format,
        "frames": facts.frames,
        "duration_s": facts.duration_s,
        "streams": list(facts.others),
    }
