"""Watching: tells the metrics what is served here, and where to look when they are read."""

from collections.abc import Callable
from typing import get_args

import onnxruntime
from starlette.datastructures import State

from service.admission import Admission, Readiness
from service.jobs.census import Census
from service.jobs.folder import DATABASE
from service.jobs.record import State as JobState
from service.metrics import Metrics
from service.scheduler import BatchObserver, BatchRecord, Queued, Scheduler
from service.settings import Settings
from service.turns import WEIGHTS, QueueClass
from service.upscaler import model_version


def counted_by(metrics: Metrics) -> BatchObserver:
    """An observer for the scheduler that counts its batches."""

    def count(batch: BatchRecord) -> None:
        session = batch.shape.session
        metrics.batch_began(
            model=session.manifest.model,
            device=session.device,
            tiles=len(batch.request_ids),
            requests=len(set(batch.request_ids)),
            pixels=len(batch.request_ids) * batch.shape.pixels,
            most_tiles=batch.most_tiles,
        )

    return count


def watch(state: State, *, version: str) -> None:
    """Describes the build and the models, and adds the gauges of the parts in `state`."""
    metrics: Metrics = state.metrics
    admission: Admission = state.admission
    readiness: Readiness = state.readiness
    settings: Settings = state.settings
    metrics.describe_build(version=version, onnxruntime=onnxruntime.__version__)
    for model in state.registry.models.values():
        for scale in model.scales:
            graph = model.graph(scale)
            metrics.describe_model(
                model.name,
                scale=scale,
                version=model_version(graph),
                precision=graph.manifest.precision,
                device=graph.session.device,
            )
    watch_queue(metrics, state.scheduler, device=state.registry.device)
    metrics.watch("sr_ready", "Whether /readyz says 200", lambda: float(readiness.obstacle() is None))
    metrics.watch("sr_admitted_requests", "Requests that have a place", lambda: admission.requests)
    metrics.watch("sr_admitted_requests_limit", "Places there are", lambda: settings.max_requests)
    metrics.watch("sr_admitted_bytes", "Bytes promised to requests", lambda: admission.bytes)
    metrics.watch("sr_admitted_bytes_limit", "Bytes that may be promised", lambda: settings.max_memory_bytes)
    watch_jobs(metrics, Census(settings.jobs / DATABASE))
    metrics.watch("sr_jobs_bytes_limit", "Bytes that files of jobs may take", lambda: settings.max_jobs_bytes)
    metrics.watch("sr_queue_seconds_predicted", "Seconds until admitted work is done", admission.drain_s)


def watch_jobs(metrics: Metrics, census: Census) -> None:
    """Adds the jobs of the folder, which replicas may share: each of them says the same."""

    def of(state: JobState) -> Callable[[], float]:
        return lambda: census.jobs(state)

    metrics.watch_each("sr_jobs", "Jobs in the folder", "state", {state: of(state) for state in get_args(JobState)})
    metrics.watch("sr_jobs_bytes", "Bytes of the jobs' files", census.bytes)


def watch_queue(metrics: Metrics, scheduler: Scheduler, *, device: str) -> None:
    """Adds what waits for the device and what it has done."""

    def of(name: QueueClass, value: Callable[[Queued], float]) -> Callable[[], float]:
        return lambda: value(scheduler.queued()[name])

    def each(value: Callable[[Queued], float]) -> dict[str, Callable[[], float]]:
        return {name: of(name, value) for name in WEIGHTS}

    metrics.watch_each("sr_queue_tiles", "Tiles that wait", "class", each(lambda queued: queued.tiles))
    metrics.watch_each("sr_queue_pixels", "Pixels that wait", "class", each(lambda queued: queued.pixels))
    metrics.watch_each(
        "sr_queue_oldest_age_seconds",
        "Since the oldest waiting request came",
        "class",
        each(lambda queued: queued.oldest_s),
    )
    tally = scheduler.tally
    metrics.watch_counter(
        "sr_device_busy_seconds", "Seconds that networks ran, of all workers", lambda: tally.busy_s, device=device
    )
    metrics.watch_counter(
        "sr_wasted_pixels", "Pixels that networks ran on for requests that got no answer", lambda: tally.wasted_pixels
    )
    metrics.watch_counter("sr_oom", "Batches for which memory ran out", lambda: tally.out_of_memory)
    metrics.watch_counter("sr_batch_splits", "Batches run again in halves", lambda: tally.splits)
