"""The way of a clip through POST /upscale/frames, from parts to parts. At no time is more of it here than a few frames.

form -> parts -> header, limits -> decode -> window (scene cuts) -> network -> encode -> answers, in order

Each stage asks the one before for the next frame when it has room, so a client that takes its answers slowly, or a busy
device, holds up the sender, and nothing piles up between.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.admission import Permit
from service.body import BodyStream
from service.codecs import (
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
    predicted_encoder_bytes,
    read_header,
)
from service.errors import FrameMismatch, OutputTooLarge, Overloaded, ServiceError, Unavailable, WrongEndpoint
from service.frames.network import FrameNetwork, NetworkChoice, window_radius
from service.frames.ordered import in_order
from service.frames.parts import FrameLimits, FramePart, FrameParts
from service.frames.scenes import CutDetector, small_luma
from service.frames.windows import Window, windows
from service.orders import check_fixed_size
from service.planes import Pixels
from service.registry import Registry, ServedGraph
from service.sessions import Runnable
from service.telemetry import RequestRecord
from service.threads import CodecThreads

DECODED_AHEAD = 2  # frames that are decoded while others are in the network
IN_FLIGHT = 2  # frames in the network, or being encoded


@dataclass(frozen=True)
class FramesParams:
    """What the caller asks for."""

    model: str
    scale: int
    format: str | None = None
    quality: int | None = None
    tiling: Literal["fast", "exact"] = "fast"
    metadata: Literal["keep", "strip"] = "keep"
    scene_detection: Literal["on", "off"] = "on"


@dataclass(frozen=True)
class ClipLimits:
    """Of a whole clip, and of each of its frames; `max_tile` is the longest side of a tile, in pixels."""

    frames: FrameLimits
    image: ImageLimits
    max_output_pixels: int
    max_tile: int


@dataclass(frozen=True)
class FrameAnswer:
    """Frame number `index`, larger, as a file."""

    index: int
    content: bytes


@dataclass(frozen=True)
class FrameFailure:
    """Why frame number `index` has no answer."""

    index: int
    error: ServiceError


@dataclass(frozen=True)
class _Checked:
    """A frame whose header has passed."""

    part: FramePart
    header: ImageHeader
    session: Runnable


@dataclass(frozen=True)
class _Frame:
    """A decoded frame; `luma` is for the detection of cuts."""

    index: int
    image: DecodedImage
    session: Runnable
    luma: NDArray[np.float32] | None


class ClipUpscaler:
    """One for the whole service; opens a Clip for each request."""

    def __init__(self, registry: Registry, network: FrameNetwork, threads: CodecThreads, limits: ClipLimits) -> None:
        self.registry = registry
        self.network = network
        self.threads = threads
        self.limits = limits

    def open(self, body: BodyStream, params: FramesParams, permit: Permit, record: RequestRecord) -> "Clip":
        """The clip that comes in `body`, unread. Raises what is wrong with the request as such."""
        graph = self.registry.get(params.model).graph(params.scale)
        if graph.manifest.direction == "down":
            raise WrongEndpoint(
                f"The model {params.model} makes LR pictures of HR ones: POST /degrade?model={params.model}.",
                members={"endpoint": "/degrade"},
            )
        options = EncodeOptions(choose_format(params.format, None), params.quality, params.metadata)
        record.facts |= {"model": params.model, "scale": params.scale, "format": options.format}
        return Clip(self, FrameParts(body, self.limits.frames), graph, options, params, permit=permit, record=record)


class Clip:
    """One request's frames under way. `cuts` are the frames that began a new shot, as far as it has come."""

    def __init__(
        self,
        service: ClipUpscaler,
        parts: FrameParts,
        graph: ServedGraph,
        options: EncodeOptions,
        params: FramesParams,
        *,
        permit: Permit,
        record: RequestRecord,
    ) -> None:
        self.cuts: list[int] = []
        self.graph = graph
        self.options = options
        self._service = service
        self._parts = parts
        self._params = params
        self._permit = permit
        self._record = record
        self._first: _Checked | None = None
        self._cuts = CutDetector()
        self._radius = window_radius(graph.manifest)
        self._detects = self._radius > 0 and params.scene_detection == "on"

    async def answers(self) -> AsyncGenerator[FrameAnswer | FrameFailure, None]:
        """Each frame's answer, or why it has none, in order; to be closed.

        Raises what ends the clip, after the answers that were due before: the form's faults, ClientClosed, Overloaded,
        Unavailable.
        """
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(aclosing(self._parts.read()))
            checked = await stack.enter_async_context(aclosing(self._checked(parts)))
            decoded = await stack.enter_async_context(aclosing(in_order(checked, self._decoded, ahead=DECODED_AHEAD)))
            shots = windows(decoded, radius=self._radius, missing=FrameFailure, begins_shot=self._begins_shot)
            seen = await stack.enter_async_context(aclosing(shots))
            answers = await stack.enter_async_context(aclosing(in_order(seen, self._answered, ahead=IN_FLIGHT)))
            async for answer in answers:
                yield answer

    # --- the stages

    async def _checked(self, parts: AsyncIterator[FramePart]) -> AsyncGenerator[_Checked | FrameFailure, None]:
        async for part in parts:
            try:
                yield await self._check(part)
            except ServiceError as error:
                yield _failure(part.index, error)

    async def _check(self, part: FramePart) -> _Checked:
        if isinstance(part.content, ServiceError):
            raise part.content
        with self._record.times.stage("decode"):
            header = await self._service.threads.run(read_header, part.content)
        check_media_type(part.media_type, header)
        check_header(header, self._service.limits.image)
        if self._first is None:
            self._first = await self._begin(part, header)
        first = self._first.header
        if (header.width, header.height, header.bits) != (first.width, first.height, first.bits):
            raise FrameMismatch(
                f"The frame has {header.width}x{header.height} pixels of {header.bits} bits, and the clip "
                f"{first.width}x{first.height} of {first.bits}.",
                members={
                    "expected": {"width": first.width, "height": first.height, "bits": first.bits},
                    "actual": {"width": header.width, "height": header.height, "bits": header.bits},
                },
            )
        return replace(self._first, part=part, header=header)

    async def _begin(self, part: FramePart, header: ImageHeader) -> _Checked:
        """The first frame that is good decides for all: size, depth, room."""
        facts, limits = self.graph.manifest, self._service.limits
        output_pixels = header.pixels * facts.scale**2
        if output_pixels > limits.max_output_pixels:
            raise OutputTooLarge(
                f"The answers would have {header.width * facts.scale} x {header.height * facts.scale} = "
                f"{output_pixels} pixels, and the limit is {limits.max_output_pixels}.",
                members={"limit": limits.max_output_pixels, "actual": output_pixels},
            )
        check_fixed_size(header, facts)
        session = await self._service.threads.run(self.graph.session_for, bits=header.bits, ensemble=False)
        assert not isinstance(part.content, ServiceError)
        self._permit.reserve(
            peak_bytes=_peak_bytes(header, self.options, self.graph, frame_bytes=len(part.content)),
            seconds=None,  # for how many frames are to come, nobody has said
        )
        return _Checked(part, header, session)

    async def _decoded(self, checked: _Checked | FrameFailure) -> _Frame | FrameFailure:
        if isinstance(checked, FrameFailure):
            return checked
        try:
            with self._record.times.stage("decode"):
                image, luma = await self._service.threads.run(self._decode, checked)
        except ServiceError as error:
            return _failure(checked.part.index, error)
        return _Frame(checked.part.index, image, checked.session, luma)

    def _decode(self, checked: _Checked) -> tuple[DecodedImage, NDArray[np.float32] | None]:
        header, scale = checked.header, self.graph.manifest.scale
        assert not isinstance(checked.part.content, ServiceError)
        image = decode(checked.part.content, header)
        check_encodable(image, self.options, height=header.height * scale, width=header.width * scale)
        return image, small_luma(image.colour) if self._detects else None

    def _begins_shot(self, frame: _Frame) -> bool:
        if frame.luma is None or not self._cuts.begins_shot(frame.luma):
            return False
        self.cuts.append(frame.index)
        return True

    async def _answered(self, seen: Window[_Frame] | FrameFailure) -> FrameAnswer | FrameFailure:
        if isinstance(seen, FrameFailure):
            return seen
        frame = seen.middle
        try:
            image = await self._enlarged(seen)
            with self._record.times.stage("encode"):
                content = await self._service.threads.run(encode, image, self.options)
        except ServiceError as error:
            return _failure(frame.index, error)
        return FrameAnswer(frame.index, content)

    async def _enlarged(self, window: Window[_Frame]) -> DecodedImage:
        image = window.middle.image
        planes: list[list[Pixels]] = [[frame.image.colour for frame in window.frames]]
        if image.alpha is not None and not image.opaque:
            planes.append([_alpha(frame.image) for frame in window.frames])
        choice = NetworkChoice(
            session=window.middle.session,
            exact=self._params.tiling == "exact",
            max_tile=self._service.limits.max_tile,
            request_id=self._record.request_id,
            queue_class="jobs" if self._record.queue_class == "jobs" else "frames",  # a key may be worth less, not more
        )
        (colour, *alphas), stats = await self._service.network.run(planes, choice)
        self._record.times.add("queue", stats.queue_s)
        self._record.times.add("infer", stats.infer_s)
        self._count(tiles=stats.tiles, input_pixels=image.colour.size // 3, output_pixels=colour.size // 3)
        alpha = alphas[0] if alphas else _full(colour) if image.alpha is not None else None
        return replace(image, colour=colour, alpha=alpha)

    def _count(self, **amounts: int) -> None:
        facts = self._record.facts
        for name, amount in amounts.items():
            facts[name] = int(str(facts.get(name, 0))) + amount


def _failure(index: int, error: ServiceError) -> FrameFailure:
    """The frame's own problem; what would meet every other frame too is raised again, and ends the clip."""
    if isinstance(error, Overloaded | Unavailable):
        raise error
    return FrameFailure(index, error)


def _alpha(image: DecodedImage) -> Pixels:
    return _full(image.colour) if image.alpha is None else image.alpha


def _full(colour: Pixels) -> Pixels:
    return np.full(colour.shape[:2], np.iinfo(colour.dtype).max, dtype=colour.dtype)


def _peak_bytes(header: ImageHeader, options: EncodeOptions, graph: ServedGraph, *, frame_bytes: int) -> int:
    """Bytes that the frames of a clip like this one need at once, whatever its length."""
    facts = graph.manifest
    lr_frames = DECODED_AHEAD + 2 * window_radius(facts) + 1 + IN_FLIGHT
    lr_bytes = header.pixels * (4 if header.has_alpha else 3) * header.bits // 8
    sr_bytes = lr_bytes * facts.scale**2
    encoder_bytes = predicted_encoder_bytes(
        options, pixels=header.pixels * facts.scale**2, bits=header.bits, has_alpha=header.has_alpha
    )
    return (DECODED_AHEAD + 2) * frame_bytes + lr_frames * lr_bytes + IN_FLIGHT * (sr_bytes + encoder_bytes)
