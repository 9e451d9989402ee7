"""Upscaler: the way of one picture through the service, from bytes to bytes. Every other file is one step of it.

A degradation goes the same way, to fewer pixels.
"""

import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from service.admission import Permit
from service.body import Upload
from service.codecs import (
    MEDIA_TYPES,
    DecodedImage,
    EncodeOptions,
    ImageHeader,
    check_encodable,
    check_media_type,
    decode,
    encode,
    read_header,
)
from service.deadlines import Deadline
from service.ensemble import RUNS
from service.estimates import Estimator
from service.etag import is_named
from service.forecast import Forecast
from service.kept_answers import KeptAnswers
from service.orders import Order, UpscaleLimits, UpscaleParams
from service.planes import Pixels, Plane, plan_for
from service.reduction import FILTER, box_mean, reduced
from service.registry import Registry, ServedGraph, ServedModel
from service.scheduler import Scheduler
from service.sessions import Runnable
from service.telemetry import RequestRecord
from service.threads import CodecThreads
from service.turns import QueueClass
from service.work import Work, WorkStats

T = TypeVar("T")

CACHE_NAME = "srserve"  # of what keeps answers, in Cache-Status
QUICKLY_HASHED_BYTES = 128 * 1024
VERSION_LENGTH = 12  # hex digits: enough to tell any two weights apart


class PictureSource(Protocol):
    """Where a picture comes from: a request's body (RequestBody), or a file that came earlier."""

    async def read(self) -> Upload: ...

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T: ...


class TileCount(Protocol):
    """Somebody who wants to know how far the tiles are; told in the worker's thread."""

    def expect(self, total: int) -> None: ...

    def advance(self) -> None: ...


@dataclass(frozen=True)
class UpscaleRequest:
    """One request under way: its body (unread), its wishes, its place in the service, and what is noted of it.

    `owner` is for whom its answer may be kept, and to whom it may have been given before; None: nobody.
    """

    body: PictureSource
    params: UpscaleParams
    permit: Permit
    record: RequestRecord
    progress: TileCount | None = None
    queue_class: QueueClass = "interactive"
    deadline: Deadline | None = None
    owner: str | None = None


@dataclass(frozen=True)
class UpscaleAnswer:
    """The picture's file, and the headers that say how it was made. `is_known`: the caller has it; it was not made."""

    content: bytes
    media_type: str
    headers: dict[str, str]
    is_known: bool = False

    def told(self, cache_status: str) -> "UpscaleAnswer":
        """With word of where it comes from (Cache-Status, RFC 9211)."""
        return replace(self, headers=self.headers | {"Cache-Status": f"{CACHE_NAME}; {cache_status}"})


class Upscaler:
    """One for the whole service; `answer` runs many times at once, each under its own Permit."""

    def __init__(
        self,
        registry: Registry,
        scheduler: Scheduler,
        *,
        estimator: Estimator,
        threads: CodecThreads,
        kept: "KeptAnswers[UpscaleAnswer]",
        limits: UpscaleLimits,
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._estimator = estimator
        self._threads = threads
        self._kept = kept
        self.limits = limits

    async def answer(self, request: UpscaleRequest) -> UpscaleAnswer:
        """The picture of the request's body, enlarged or degraded; or word that the caller has that (If-None-Match).

        Raises whatever ServiceError is the caller's fault or ours, cheapest first: model, scale, format, body,
        header, limits, time, room, pixels, network, result. A client that goes away ends it within one batch, and
        so does the deadline.
        """
        params = request.params
        model = self._registry.get(params.model)
        params.check(model)
        options = params.options()
        request.record.facts |= {"model": params.model, "format": options.format} | _known_scale(model, params)
        with request.record.times.stage("read"):
            upload = await request.body.read()
        work = self._answer(upload, model, options, request)
        return await request.body.while_connected(request.deadline.enforce(work) if request.deadline else work)

    async def _answer(
        self, upload: Upload, model: ServedModel, options: EncodeOptions, request: UpscaleRequest
    ) -> UpscaleAnswer:
        record, params, media_type = request.record, request.params, MEDIA_TYPES[options.format]
        record.charged_pixels = 0  # unless it is let in
        with record.times.stage("decode"):
            order = await self._order(upload, model, options, request)
            etag = await self._etag(order, upload.content)
            if is_named(etag, params.if_none_match):
                return UpscaleAnswer(b"", media_type, _cache_headers(etag, params), is_known=True)
            if (found := self._find(etag, request)) is not None:
                return found
            forecast = self._admit(order, request, body_bytes=len(upload.content))
            admitted_at = time.monotonic()
            source, session = await self._threads.run(_decode, upload.content, order)
            self._estimator.decoded(order, time.monotonic() - admitted_at)
        decoded_at = time.monotonic()
        image, stats = await self._run(source, session, request, forecast)
        self._estimator.handed_over(time.monotonic() - decoded_at - stats.queue_s - stats.infer_s)
        del source  # before the encoder takes its share of memory
        with record.times.stage("encode"):
            started = time.monotonic()
            if order.is_reduced:
                size = order.target
                image = await self._threads.run(reduced, image, height=size.height, width=size.width)
            content = await self._threads.run(encode, image, options)
            self._estimator.encoded(order, time.monotonic() - started)
        request.permit.shrink(held_bytes=len(content))
        record.facts |= {
            "tiles": stats.tiles,
            "output_pixels": order.target.height * order.target.width,
            "answer_bytes": len(content),
            "taken_s": round(time.monotonic() - admitted_at, 6),
        }
        answer = UpscaleAnswer(content, media_type, _headers(order, stats) | _cache_headers(etag, params))
        return self._keep(etag, answer, request)

    async def _etag(self, order: Order, content: bytes) -> str:
        """Made here where hashing takes less time than a thread's turn."""
        if len(content) <= QUICKLY_HASHED_BYTES:
            return order.etag(content, max_tile=self.limits.max_tile)
        return await self._threads.run(order.etag, content, max_tile=self.limits.max_tile)

    def _admit(self, order: Order, request: UpscaleRequest, *, body_bytes: int) -> Forecast:
        """Lets it in. Raises TooLargeForSync, OutputTooLarge, Overloaded."""
        estimate = self._estimator.estimate(order, body_bytes=body_bytes, queue_class=request.queue_class)
        self._estimator.check(estimate, request.deadline)
        request.permit.reserve(peak_bytes=estimate.peak_bytes, seconds=estimate.total_s)
        request.record.facts["predicted_s"] = round(estimate.total_s, 6)
        request.record.charged_pixels = order.header.pixels
        return estimate.forecast

    def _find(self, etag: str, request: UpscaleRequest) -> UpscaleAnswer | None:
        """The answer, if the same key was given it before and it was kept."""
        found = self._kept.find(request.owner, etag) if request.owner is not None else None
        if found is None:
            return None
        request.permit.shrink(held_bytes=len(found.content))
        request.record.facts |= {"kept": True, "answer_bytes": len(found.content)}
        return found.told("hit")

    def _keep(self, etag: str, answer: UpscaleAnswer, request: UpscaleRequest) -> UpscaleAnswer:
        if request.owner is None or not self._kept.is_on:
            return answer
        request.record.facts["kept"] = False
        self._kept.keep(request.owner, etag, answer)
        return answer.told("fwd=miss")

    async def check(self, upload: Upload, params: UpscaleParams) -> ImageHeader:
        """The picture's header, if `answer` would take it as far as headers tell; raises as that."""
        model = self._registry.get(params.model)
        params.check(model)
        options = params.options()
        header = await self._threads.run(read_header, upload.content)
        check_media_type(upload.media_type, header)
        Order.of(header, model, options, params, self.limits)
        return header

    async def _order(
        self, upload: Upload, model: ServedModel, options: EncodeOptions, request: UpscaleRequest
    ) -> Order:
        header = await self._threads.run(read_header, upload.content)
        request.record.facts |= {
            "input_format": header.format,
            "input_pixels": header.pixels,
            "body_bytes": len(upload.content),
        }
        check_media_type(upload.media_type, header)
        order = Order.of(header, model, options, request.params, self.limits)
        request.record.facts |= {"scale": order.target.scale}
        return order

    async def _run(
        self, source: DecodedImage, session: Runnable, request: UpscaleRequest, forecast: Forecast
    ) -> tuple[DecodedImage, WorkStats]:
        """The network over the colours and, upward, over an alpha that hides something as a picture of its own."""
        manifest = session.manifest
        planes = [Plane.of_graph(source.colour, manifest, seed=request.params.seed)]
        if source.alpha is not None and not source.opaque and manifest.direction == "up":
            planes.append(Plane.of_graph(source.alpha, manifest))
        height, width = source.colour.shape[:2]
        exact = request.params.tiling == "exact"
        work = Work(
            session=session,
            plan=plan_for(manifest, height, width, exact=exact, max_tile=self.limits.max_tile),
            planes=planes,
            request_id=request.record.request_id,
            queue_class=request.queue_class,
            deadline=request.deadline.at if request.deadline else None,
            forecast=forecast,
        )
        request.record.facts["padding_pixels"] = (work.plan.pixels - height * width) * len(planes)
        if request.progress is not None:
            request.progress.expect(len(work.plan.tiles) * len(planes))
            for plane in planes:
                plane.on_tile = request.progress.advance
        stats = await self._scheduler.run(work)
        request.record.times.add("queue", stats.queue_s)
        request.record.times.add("infer", stats.infer_s)
        alpha = None if source.alpha is None else await self._threads.run(_answered_alpha, source.alpha, planes)
        return replace(source, colour=planes[0].output, alpha=alpha), stats


def model_version(graph: ServedGraph) -> str:
    """The beginning of the weights' sha256, or of the graph's own where it holds its weights."""
    return (graph.manifest.weights_sha256 or graph.session.sha256)[:VERSION_LENGTH]


def _known_scale(model: ServedModel, params: UpscaleParams) -> dict[str, object]:
    """The scale that will run, where the picture need not be known for that."""
    scale = params.size.scale
    return {"scale": int(scale)} if scale in model.scales else {}


def _answered_alpha(alpha: Pixels, planes: list[Plane]) -> Pixels:
    """The network's answer. Where the alpha hides nothing, a full one, for a network might make 254 of 255.

    A degradation's is the mean of each LR pixel's share: no camera has ever taken a mask.
    """
    colour = planes[0]
    if colour.direction == "down":
        return box_mean(alpha, colour.scale)
    if len(planes) > 1:
        return planes[1].output
    return np.full(colour.output.shape[:2], np.iinfo(alpha.dtype).max, dtype=alpha.dtype)


def _decode(content: bytes, order: Order) -> tuple[DecodedImage, Runnable]:
    """The pixels, if the answer can be written: better told now than after the network has run; and what will run."""
    image = decode(content, order.header)
    check_encodable(image, order.options, height=order.target.height, width=order.target.width)
    return image, order.graph.session_for(bits=order.header.bits, ensemble=order.params.ensemble)


def _headers(order: Order, stats: WorkStats) -> dict[str, str]:
    params, target = order.params, order.target
    headers = {
        "X-SR-Model": params.model,
        "X-SR-Model-Version": model_version(order.graph),
        "X-SR-Scale": str(target.scale),
        "X-SR-Size": f"{target.width}x{target.height}",
        "X-SR-Tiles": str(stats.tiles),
        "X-SR-Tiling": params.tiling,
        "X-SR-Device": order.graph.session.device,
    }
    if order.is_reduced:
        headers["X-SR-Reduction"] = FILTER
    if params.ensemble:
        headers["X-SR-Ensemble"] = f"x{RUNS}"
    if params.direction == "down":
        headers["X-SR-Seed"] = str(params.seed)
    return headers


def _cache_headers(etag: str, params: UpscaleParams) -> dict[str, str]:
    """For the caller's own cache, which asks again, with If-None-Match, before it uses what it has."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    return headers if params.format else headers | {"Vary": "Accept"}
