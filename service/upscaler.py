"""Upscaler: the way of one picture through the service, from bytes to bytes. Every other file is one step of it."""

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from service.admission import Admission, Permit, predicted_peak_bytes
from service.body import Upload
from service.codecs import (
    MEDIA_TYPES,
    DecodedImage,
    EncodeOptions,
    ImageHeader,
    ImageLimits,
    check_encodable,
    check_header,
    check_media_type,
    choose_format,
    decode,
    encode,
    read_header,
)
from service.errors import OutputTooLarge, WrongEndpoint, WrongSize
from service.manifest import Manifest
from service.planes import Pixels, Plane, plan_for
from service.registry import Registry, ServedGraph
from service.scheduler import Scheduler
from service.sessions import Session
from service.telemetry import RequestRecord
from service.threads import CodecThreads
from service.turns import QueueClass
from service.work import Work, WorkStats

T = TypeVar("T")

VERSION_LENGTH = 12  # hex digits: enough to tell any two weights apart


@dataclass(frozen=True)
class UpscaleParams:
    """What the caller asks for. `accept` is the Accept header, which chooses the format where `format` is None."""

    model: str
    scale: int
    format: str | None = None
    accept: str | None = None
    quality: int | None = None
    tiling: Literal["fast", "exact"] = "fast"
    metadata: Literal["keep", "strip"] = "keep"


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
    """One request under way: its body (unread), its wishes, its place in the service, and what is noted of it."""

    body: PictureSource
    params: UpscaleParams
    permit: Permit
    record: RequestRecord
    progress: TileCount | None = None
    queue_class: QueueClass = "interactive"


@dataclass(frozen=True)
class UpscaleAnswer:
    """The SR picture's file, and the headers that say how it was made."""

    content: bytes
    media_type: str
    headers: dict[str, str]


@dataclass(frozen=True)
class UpscaleLimits:
    """What is refused before a pixel is decoded, and the longest side of a tile; all in pixels."""

    image: ImageLimits
    max_output_pixels: int
    max_tile: int


class Upscaler:
    """One for the whole service; `upscale` runs many times at once, each under its own Permit."""

    def __init__(
        self,
        registry: Registry,
        scheduler: Scheduler,
        *,
        admission: Admission,
        threads: CodecThreads,
        limits: UpscaleLimits,
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._admission = admission
        self._threads = threads
        self._limits = limits

    async def upscale(self, request: UpscaleRequest) -> UpscaleAnswer:
        """The picture of the request's body, `scale` times as large in each direction.

        Raises whatever ServiceError is the caller's fault or ours, cheapest first: model, scale, format, body,
        header, limits, room, pixels, network, result. A client that goes away ends it within one batch.
        """
        params = request.params
        graph, options = self._choose(params)
        request.record.facts |= {"model": params.model, "scale": params.scale, "format": options.format}
        with request.record.times.stage("read"):
            upload = await request.body.read()
        return await request.body.while_connected(self._answer(upload, graph, options, request))

    async def check(self, upload: Upload, params: UpscaleParams) -> ImageHeader:
        """The picture's header, if `upscale` would take it as far as headers tell; raises as that."""
        graph, _ = self._choose(params)
        header = await self._threads.run(read_header, upload.content)
        self._check(upload, header, graph)
        if header.bits > 8:
            await self._threads.run(_float_session, graph)
        return header

    def _choose(self, params: UpscaleParams) -> tuple[ServedGraph, EncodeOptions]:
        graph = self._registry.get(params.model).graph(params.scale)
        if graph.manifest.direction == "down":
            raise WrongEndpoint(
                f"The model {params.model} makes LR pictures of HR ones: POST /degrade?model={params.model}.",
                members={"endpoint": "/degrade"},
            )
        options = EncodeOptions(
            format=choose_format(params.format, params.accept),
            quality=params.quality,
            metadata=params.metadata,
        )
        return graph, options

    async def _answer(
        self, upload: Upload, graph: ServedGraph, options: EncodeOptions, request: UpscaleRequest
    ) -> UpscaleAnswer:
        with request.record.times.stage("decode"):
            header = await self._threads.run(read_header, upload.content)
            self._admit(upload, header, graph=graph, options=options, request=request)
            session = graph.session if header.bits == 8 else await self._threads.run(_float_session, graph)
            lr = await self._threads.run(_decode, upload.content, header, options, scale=request.params.scale)
        sr, stats = await self._run(lr, session, request)
        del lr  # before the encoder takes its share of memory
        with request.record.times.stage("encode"):
            content = await self._threads.run(encode, sr, options)
        request.permit.shrink(held_bytes=len(content))
        request.record.facts |= {"tiles": stats.tiles, "answer_bytes": len(content)}
        return UpscaleAnswer(content, MEDIA_TYPES[options.format], _headers(graph, request.params, stats))

    def _admit(
        self,
        upload: Upload,
        header: ImageHeader,
        *,
        graph: ServedGraph,
        options: EncodeOptions,
        request: UpscaleRequest,
    ) -> None:
        """Every limit, from the header alone: a bomb costs as much as any other refusal."""
        request.record.facts |= {
            "input_format": header.format,
            "input_pixels": header.pixels,
            "body_bytes": len(upload.content),
        }
        self._check(upload, header, graph)
        scale = graph.manifest.scale
        request.permit.reserve(
            peak_bytes=predicted_peak_bytes(header, options, scale=scale, body_bytes=len(upload.content)),
            macs=graph.manifest.macs(_planes(header) * header.pixels),
        )

    def _check(self, upload: Upload, header: ImageHeader, graph: ServedGraph) -> None:
        scale = graph.manifest.scale
        check_media_type(upload.media_type, header)
        check_header(header, self._limits.image)
        _check_size(header, graph.manifest)
        output_pixels = header.pixels * scale**2
        if output_pixels > self._limits.max_output_pixels:
            raise OutputTooLarge(
                f"The answer would have {header.width * scale} x {header.height * scale} = {output_pixels} pixels, "
                f"and the limit is {self._limits.max_output_pixels}.",
                members={"limit": self._limits.max_output_pixels, "actual": output_pixels},
            )

    async def _run(self, lr: DecodedImage, session: Session, request: UpscaleRequest) -> tuple[DecodedImage, WorkStats]:
        """The network over the colours and, as a picture of its own, the alpha channel unless it hides nothing."""
        manifest = session.manifest
        planes = [Plane.of_graph(lr.colour, manifest)]
        if lr.alpha is not None and not lr.opaque:
            planes.append(Plane.of_graph(lr.alpha, manifest))
        height, width = lr.colour.shape[:2]
        exact = request.params.tiling == "exact"
        work = Work(
            session=session,
            plan=plan_for(manifest, height, width, exact=exact, max_tile=self._limits.max_tile),
            planes=planes,
            request_id=request.record.request_id,
            queue_class=request.queue_class,
        )
        macs = manifest.macs(work.plan.pixels * len(planes))
        request.record.facts |= {
            "padding_pixels": (work.plan.pixels - height * width) * len(planes),
            "predicted_s": round(self._admission.predicted_s(macs), 6),
        }
        if request.progress is not None:
            request.progress.expect(len(work.plan.tiles) * len(planes))
            for plane in planes:
                plane.on_tile = request.progress.advance
        stats = await self._scheduler.run(work)
        request.record.times.add("queue", stats.queue_s)
        request.record.times.add("infer", stats.infer_s)
        self._admission.learn(macs=macs, seconds=stats.infer_s)
        colour = planes[0].output
        request.record.facts["output_pixels"] = colour.shape[0] * colour.shape[1]
        return replace(lr, colour=colour, alpha=_upscaled_alpha(lr, planes, shape=colour.shape[:2])), stats


def model_version(graph: ServedGraph) -> str:
    """The beginning of the weights' sha256, or of the graph's own where it holds its weights."""
    return (graph.manifest.weights_sha256 or graph.session.sha256)[:VERSION_LENGTH]


def _check_size(header: ImageHeader, facts: Manifest) -> None:
    """Raises WrongSize where the network takes one size only, and this is another."""
    if facts.fixed_size is None:
        return
    height, width = (side * facts.input_scale for side in facts.fixed_size)
    if (header.height, header.width) != (height, width):
        raise WrongSize(
            f"The model {facts.model} takes pictures of {width}x{height} pixels only, and this one is "
            f"{header.width}x{header.height}.",
            members={"supported": [f"{width}x{height}"], "actual": f"{header.width}x{header.height}"},
        )


def _upscaled_alpha(lr: DecodedImage, planes: list[Plane], *, shape: tuple[int, ...]) -> Pixels | None:
    """The network's answer; where the alpha hides nothing, a full one, for a network might make 254 of 255."""
    if lr.alpha is None or len(planes) > 1:
        return planes[1].output if len(planes) > 1 else None
    return np.full(shape, np.iinfo(lr.alpha.dtype).max, dtype=lr.alpha.dtype)


def _decode(content: bytes, header: ImageHeader, options: EncodeOptions, *, scale: int) -> DecodedImage:
    """The pixels, if the answer can be written: better told now than after the network has run."""
    lr = decode(content, header)
    check_encodable(lr, options, height=header.height * scale, width=header.width * scale)
    return lr


def _float_session(graph: ServedGraph) -> Session:
    return graph.float_session


def _planes(header: ImageHeader) -> int:
    return 2 if header.has_alpha else 1


def _headers(graph: ServedGraph, params: UpscaleParams, stats: WorkStats) -> dict[str, str]:
    return {
        "X-SR-Model": params.model,
        "X-SR-Model-Version": model_version(graph),
        "X-SR-Scale": str(params.scale),
        "X-SR-Tiles": str(stats.tiles),
        "X-SR-Tiling": params.tiling,
        "X-SR-Device": graph.session.device,
    }
