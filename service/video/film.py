"""The way of a video file: probed, planned, decoded, enlarged, encoded in segments, joined with what came beside it.

file -> probe -> limits, plan -> decode -> windows (cuts) -> network -> encode -> segments -> mux -> file

A segment that is finished is not made again, whatever happens to the process: the next one decodes from the beginning,
which costs little beside the network, and goes on with the first frame of a segment that is missing.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.admission import Admission
from service.frames.network import FrameNetwork, NetworkChoice, window_radius
from service.frames.ordered import in_order
from service.frames.windows import Window, windows
from service.jobs.record import Segment
from service.jobs.run import JobRun, Outcome
from service.manifest import Manifest
from service.orders import UpscaleParams
from service.processors import usable_cores
from service.reduction import reduced_colour
from service.registry import Registry, ServedGraph
from service.upscaler import model_version
from service.video.formats import MEDIA_TYPES, ContainerName
from service.video.plan import VideoLimits, check_facts, check_network, guessed_frames, make_plan
from service.video.process import Child, ChildLimits, ask
from service.video.records import Plan, VideoFacts, facts_of
from service.video.segments import Frame, SegmentsWriter, VideoParams, VideoWork, settled_plan

IN_FLIGHT = 3  # frames in the network or waiting to be encoded: one runs, one is next, one is being written
MAX_ENCODER_THREADS = 16
INSPECTED_AT_ONCE = 2  # uploads whose headers are read, each by a process of its own


class VideoUpscaler:
    """One for the whole service."""

    def __init__(
        self,
        registry: Registry,
        network: FrameNetwork,
        admission: Admission,
        *,
        limits: VideoLimits,
        child: ChildLimits,
        max_tile: int,
    ) -> None:
        self._registry = registry
        self._network = network
        self._admission = admission
        self._limits = limits
        self._child = child
        self._max_tile = max_tile
        self._inspecting = asyncio.Semaphore(INSPECTED_AT_ONCE)

    # --- before a job is accepted

    async def inspect(self, path: Path, container: ContainerName, params: VideoParams) -> VideoFacts:
        """What the file holds, if it would be taken as far as can be told without decoding it all; raises as `make`."""
        async with self._inspecting:
            facts, versions = await self._probe(path, container, count=False)
            plan, _ = self._plan(facts, params, versions)
            await ask("mux", {"path": str(path), "plan": plan.to_json(), "segments": [], "target": ""}, self._child)
        return facts

    # --- the job

    async def make(self, run: JobRun, params: VideoParams, container: ContainerName) -> Outcome:
        """The video, larger. May be cancelled and called again: it goes on with the first segment that is missing.

        Raises whatever ServiceError is the caller's fault or ours; Overloaded while requests need the memory.
        """
        facts, versions = await self._probe(run.input, container, count=True)
        plan, graph = self._plan(facts, params, versions)
        plan = await asyncio.to_thread(settled_plan, run.folder, plan)
        session = await asyncio.to_thread(graph.session_for, bits=plan.bits, ensemble=params.ensemble)
        work = VideoWork(run, params, plan, graph, session)
        run.progress.expect(guessed_frames(facts) or 0, done=sum(segment.steps for segment in work.finished().values()))
        _remove_unfinished(run.folder)  # by a process that was killed
        try:
            with self._admission.enter(body_bytes=0) as permit:
                permit.reserve(peak_bytes=_peak_bytes(plan, graph.manifest), seconds=None)
                ended = await self._make_segments(work)
            return await self._join(work, ended)
        except BaseException:
            _remove_unfinished(run.folder)  # on a full disk the database needs the room to say what has happened
            raise

    def _plan(self, facts: VideoFacts, params: VideoParams, versions: dict[str, str]) -> tuple[Plan, ServedGraph]:
        """The plan, and the graph that it wants."""
        model = self._registry.get(params.model)
        UpscaleParams(params.model, params.scale, params.width, params.height).check(model)
        check_facts(facts, self._limits)
        target = params.size.target(model.name, model.scales, height=facts.height, width=facts.width)
        graph = model.graph(target.scale)
        check_network(facts, self._limits, graph.manifest)
        frame_macs = graph.macs(facts.width * facts.height, ensemble=params.ensemble)
        plan = make_plan(
            facts,
            params.wishes,
            (target.height, target.width),
            frame_macs=frame_macs,
            threads=min(usable_cores(), MAX_ENCODER_THREADS),
            versions=versions,
        )
        graph.check_can(bits=plan.bits, ensemble=params.ensemble)
        own = {
            "weights": graph.manifest.weights_sha256 or "",
            "graph": graph.sha256(wide=plan.bits > 8 or params.ensemble),
            "ensemble": str(params.ensemble),
            "onnxruntime": onnxruntime.__version__,
            "tiling": params.tiling,
            "scene_detection": params.scene_detection,
        }
        return replace(plan, versions={**versions, **own}), graph

    async def _probe(self, path: Path, container: ContainerName, *, count: bool) -> tuple[VideoFacts, dict[str, str]]:
        most = self._limits.image.max_input_pixels
        orders = {"path": str(path), "container": container, "max_pixels": most, "count": count}
        document = await ask("probe", orders, self._child)
        return facts_of(document["facts"]), document["versions"]

    # --- segments

    async def _make_segments(self, work: VideoWork) -> dict[str, Any]:
        """All that are missing. The decoder's last words: how many frames there were, damaged and left out ones."""
        finished = work.finished()
        first = next(number for number in itertools.count() if number not in finished)
        skip = max(0, first * work.plan.segment_frames - work.radius)
        orders = {
            "path": str(work.run.input),
            "plan": work.plan.to_json(),
            "skip": skip,
            "detect": work.radius > 0 and work.params.scene_detection == "on",
        }
        async with (
            await Child.start("decode", orders, self._child) as decoder,
            await Child.start("encode", {"plan": work.plan.to_json()}, self._child) as encoder,
        ):
            ended: dict[str, Any] = {}
            frames = _decoded(decoder, work.plan, first=skip, ended=ended)
            await self._enlarge_and_encode(work, frames, encoder, finished)
        return ended

    async def _enlarge_and_encode(
        self, work: VideoWork, frames: AsyncGenerator[Frame, None], encoder: Child, finished: dict[int, Segment]
    ) -> None:
        writer = SegmentsWriter(encoder, work)

        async def enlarge(window: Window[Frame]) -> tuple[Frame, NDArray[Any]]:
            choice = NetworkChoice(
                session=work.session,
                exact=work.params.tiling == "exact",
                max_tile=self._max_tile,
                request_id=work.run.job.id,
                queue_class="jobs",
            )
            (enlarged,), _ = await self._network.run([[frame.pixels for frame in window.frames]], choice)
            height, width = work.plan.height, work.plan.width
            if enlarged.shape[:2] != (height, width):
                enlarged = await asyncio.to_thread(reduced_colour, enlarged, height=height, width=width)
            return window.middle, enlarged

        async with AsyncExitStack() as stack:
            decoded = await stack.enter_async_context(aclosing(frames))
            shots = windows(decoded, radius=work.radius, missing=_NoFrame, begins_shot=lambda frame: frame.is_cut)
            seen = await stack.enter_async_context(aclosing(shots))
            missing = await stack.enter_async_context(aclosing(_missing(seen, work, finished)))
            enlarged = await stack.enter_async_context(aclosing(in_order(missing, enlarge, ahead=IN_FLIGHT)))
            await stack.enter_async_context(writer)
            async for frame, pixels in enlarged:
                await writer.add(frame, pixels)
                work.run.progress.advance()
            await writer.end()

    # --- the result

    async def _join(self, work: VideoWork, ended: dict[str, Any]) -> Outcome:
        plan, run = work.plan, work.run
        count = -(-ended["frames"] // plan.segment_frames)
        paths = [work.segment_path(number) for number in range(count)]
        target = run.folder / f"result.{plan.container}"
        orders = {"path": str(run.input), "plan": plan.to_json(), "segments": [str(path) for path in paths]}
        document = await ask("mux", {**orders, "target": str(target)}, self._child)
        facts = {
            "width": plan.width,
            "height": plan.height,
            "frames": ended["frames"],
            "codec": plan.codec,
            "container": plan.container,
            "pixel_format": plan.pixel_format,
            "model_version": model_version(work.graph),
            "copied": document["copied"],
            "not_copied": document["not_copied"],
            "damaged_packets": ended["damaged"],
            "frames_left_out": ended["untimed"],
        }
        run.progress.expect(ended["frames"], done=ended["frames"])
        return Outcome(target, MEDIA_TYPES[plan.container], facts)


class _NoFrame:
    """There is none: frames that cannot be decoded never come."""


async def _decoded(decoder: Child, plan: Plan, *, first: int, ended: dict[str, Any]) -> AsyncGenerator[Frame, None]:
    """The decoder's frames, from number `first` on; `ended` gets its last words."""
    shape = (plan.facts.height, plan.facts.width, 3)
    for number in itertools.count(first):
        pixels: NDArray[Any] = np.empty(shape, np.uint8 if plan.bits == 8 else np.uint16)
        received = await decoder.receive_frame(pixels)
        if isinstance(received, dict):
            ended.update(received)
            return
        pts, duration, is_cut = received
        yield Frame(number, pts, duration, is_cut, pixels)


async def _missing(
    seen: AsyncIterator[Window[Frame] | _NoFrame], work: VideoWork, finished: dict[int, Segment]
) -> AsyncGenerator[Window[Frame], None]:
    """The windows of frames whose segments are still to be made."""
    async for window in seen:
        assert isinstance(window, Window)
        if work.segment_of(window.middle.number) not in finished:
            yield window


def _remove_unfinished(folder: Path) -> None:
    """What was being written; segments that are finished have got their names."""
    for pattern in ("*.part", "result.*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _peak_bytes(plan: Plan, manifest: Manifest) -> int:
    """Bytes that the frames in this process need at once, whatever the length of the video."""
    lr_bytes = plan.facts.width * plan.facts.height * 3 * plan.bits // 8
    network_bytes = lr_bytes * manifest.scale**2
    reduction = 2 * network_bytes if network_bytes != plan.frame_bytes else 0
    return (2 * window_radius(manifest) + 2 + 2 * IN_FLIGHT) * lr_bytes + (IN_FLIGHT + 1) * network_bytes + reduction
