"""App: puts the parts together. `create_app(settings)` is the whole service as one ASGI application."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from service.admission import Admission, Readiness
from service.calibration import calibrate
from service.codecs import ImageLimits
from service.contract import openapi_document
from service.cores import Cores
from service.costs import Costs
from service.envelope import Envelope
from service.errors import MethodNotAllowed
from service.estimates import Estimator
from service.frames.network import FrameNetwork
from service.frames.parts import FrameLimits
from service.frames.stream import ClipLimits, ClipUpscaler
from service.guard import Guard
from service.jobs.book import JobBook, JobLimits
from service.jobs.queue import JobQueue
from service.jobs_picture import PictureTask
from service.jobs_video import VideoTask
from service.kept_answers import KeptAnswers
from service.keys import KeyRing
from service.metrics import Metrics
from service.orders import UpscaleLimits
from service.problems import from_framework, from_validation, shorten
from service.processors import usable_cores
from service.registry import Registry
from service.routes import degrade, documentation, estimate, frames, health, index, jobs, models, page, upscale
from service.scheduler import Scheduler
from service.settings import Settings
from service.slots import Pipeline, Slots
from service.threads import CodecThreads
from service.tracing import tracing_config
from service.upscaler import Upscaler
from service.video.film import VideoUpscaler
from service.video.plan import VideoLimits
from service.video.process import ChildLimits
from service.watching import counted_by, watch

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

log = structlog.get_logger("service")


def create_app(settings: Settings) -> FastAPI:
    """The application, its store opened. Raises StoreError and KeyFileError when a file is not what it must be, or the
    jobs' folder cannot be used.

    Threads and queues begin with the ASGI lifespan and end with it.
    """
    version = _version()
    app = FastAPI(
        title="srserve",
        version=version,
        description="Super-resolution as a service: a picture goes in and comes out larger, or realistically worse.",
        lifespan=_lifespan,
        telemetry=tracing_config(enabled=settings.tracing),
        responses=documentation.any_problem(),
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # /upscale/ is a mistake to be told of, not to be redirected with its body
        exception_handlers={405: _wrong_method, HTTPException: _refuse, RequestValidationError: _refuse},
    )
    _assemble(app, settings)
    watch(app.state, version=version)
    for router in (index, page, upscale, frames, degrade, estimate, jobs, models, health, documentation):
        app.include_router(router.router)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]  # FastAPI's own way
    if app.state.keys is not None:
        app.add_middleware(Guard, keys=app.state.keys)
    app.add_middleware(Envelope, is_draining=lambda: app.state.readiness.draining, metrics=app.state.metrics)
    return app


def _version() -> str:
    try:
        return metadata.version("srserve")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a checkout that is not installed


def _assemble(app: FastAPI, settings: Settings) -> None:
    state = app.state
    state.settings = settings
    state.readiness = Readiness()
    state.metrics = Metrics()
    state.keys = KeyRing(settings.keys) if isinstance(settings.keys, Path) else None
    threads = settings.threads or usable_cores()
    started = time.perf_counter()
    state.registry = Registry.open(settings.store, device=settings.device, threads=threads)
    state.metrics.loaded(time.perf_counter() - started)
    state.admission = Admission(max_requests=settings.max_requests, max_bytes=settings.max_memory_bytes)
    state.threads = CodecThreads(settings.codec_threads)
    state.slots = _slots(state.registry, settings, threads=threads)
    state.costs = Costs(cores=threads)
    state.scheduler = Scheduler(state.slots, costs=state.costs, observer=counted_by(state.metrics))
    state.estimator = Estimator(
        state.scheduler, state.costs, max_tile=settings.max_tile, max_queue_s=settings.max_queue_s
    )
    image = ImageLimits(max_input_pixels=settings.max_input_pixels, max_side=settings.max_side)
    state.upscaler = Upscaler(
        state.registry,
        state.scheduler,
        estimator=state.estimator,
        threads=state.threads,
        kept=KeptAnswers(max_bytes=settings.kept_answer_bytes),
        limits=UpscaleLimits(
            image=image,
            max_output_pixels=settings.max_output_pixels,
            max_tile=settings.max_tile,
        ),
    )
    network = FrameNetwork(state.scheduler)
    state.clips = ClipUpscaler(
        state.registry,
        network,
        state.threads,
        ClipLimits(
            frames=FrameLimits(
                max_frames=settings.max_frames,
                max_frame_bytes=settings.max_body_bytes,
                frame_timeout_s=settings.body_timeout_s,
            ),
            image=image,
            max_output_pixels=settings.max_output_pixels,
            max_tile=settings.max_tile,
        ),
    )
    state.videos = VideoUpscaler(
        state.registry,
        network,
        state.admission,
        limits=VideoLimits(
            image=image,
            max_output_pixels=settings.max_output_pixels,
            max_frames=settings.max_video_frames,
            max_s=settings.max_video_s,
        ),
        child=ChildLimits(memory_bytes=settings.max_video_memory_bytes, file_bytes=settings.max_jobs_bytes),
        max_tile=settings.max_tile,
    )
    state.jobs = JobQueue(
        JobBook(
            settings.jobs.absolute(),  # the processes that read and write videos stand in another folder
            JobLimits(max_jobs=settings.max_jobs, max_bytes=settings.max_jobs_bytes, keep_s=settings.job_keep_s),
        ),
        {"picture": PictureTask(state.upscaler, state.admission), "video": VideoTask(state.videos)},
        workers=settings.job_workers,
    )


def _slots(registry: Registry, settings: Settings, *, threads: int) -> Slots:
    if registry.device == "cpu":
        return Cores(threads, max_batch_pixels=settings.max_batch_pixels)
    return Pipeline(max_batch_pixels=settings.max_batch_pixels, max_wait_s=settings.max_wait_s)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    state.scheduler.start()
    await state.jobs.start()
    # Warmed while it listens: /livez answers, /readyz says not-ready, and who cannot wait is served slowly.
    warming = asyncio.create_task(_warm_up(state))
    try:
        yield
    finally:
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming
        await state.jobs.aclose()  # what runs is gone on with after the next start
        await state.scheduler.aclose(drain=True)
        state.threads.close()


async def _warm_up(state: State) -> None:
    registry: Registry = state.registry
    readiness: Readiness = state.readiness
    started = time.perf_counter()
    try:
        await asyncio.to_thread(registry.warm_up)
        await asyncio.to_thread(calibrate, registry.sessions(), state.costs, ways=state.slots.ways)
    except Exception as error:  # whatever it is, it is said at /readyz and in the log
        log.exception("a model could not be warmed up; the service stays not ready")
        readiness.failed(f"A model could not be warmed up: {error}")
    else:
        log.info("ready", models=sorted(registry.models))
        state.metrics.warmed_up(time.perf_counter() - started)
        readiness.ready()


# Handlers for the framework's own refusals. They answer nothing but raise ours, up to the envelope, which renders it.


async def _refuse(request: Request, error: Exception) -> NoReturn:
    if isinstance(error, RequestValidationError):
        raise from_validation(error) from error
    if isinstance(error, HTTPException):
        raise from_framework(error, path=request.url.path) from error
    raise error


async def _wrong_method(request: Request, error: Exception) -> Response:
    allowed = _allowed_methods(request)
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ", ".join(allowed)})
    raise MethodNotAllowed(
        f"{shorten(request.url.path)} takes {' or '.join(allowed)}, not {shorten(request.method)}.",
        members={"allowed": allowed},
        headers={"Allow": ", ".join(allowed)},
    ) from error


def _allowed_methods(request: Request) -> list[str]:
    """What the routes at the request's path take, HEAD with GET, and OPTIONS."""
    allowed: list[str] = []
    for method in METHODS:
        scope: dict[str, Any] = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            allowed += [method, "HEAD"] if method == "GET" else [method]
    return [*allowed, "OPTIONS"]
