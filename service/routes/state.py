"""State: how a route gets at the parts that create_app has put together, and at its request's record."""

from typing import Annotated

from fastapi import Depends, Request

from service.admission import Readiness
from service.jobs.queue import JobQueue
from service.registry import Registry
from service.settings import Settings
from service.telemetry import RequestRecord
from service.upscaler import Upscaler
from service.video.film import VideoUpscaler


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


def _upscaler(request: Request) -> Upscaler:
    upscaler: Upscaler = request.app.state.upscaler
    return upscaler


def _jobs(request: Request) -> JobQueue:
    jobs: JobQueue = request.app.state.jobs
    return jobs


def _videos(request: Request) -> VideoUpscaler:
    videos: VideoUpscaler = request.app.state.videos
    return videos


def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.scope["state"]["record"]
    return record


TheSettings = Annotated[Settings, Depends(_settings)]
TheRegistry = Annotated[Registry, Depends(_registry)]
TheReadiness = Annotated[Readiness, Depends(_readiness)]
TheUpscaler = Annotated[Upscaler, Depends(_upscaler)]
TheJobs = Annotated[JobQueue, Depends(_jobs)]
TheVideos = Annotated[VideoUpscaler, Depends(_videos)]
TheRecord = Annotated[RequestRecord, Depends(_record)]
