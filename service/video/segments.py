"""Segments: the pieces in which a video is encoded, each noted when its file is complete and on the disk."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from numpy.typing import NDArray

from service.frames.network import window_radius
from service.jobs.folder import sync_file
from service.jobs.record import Segment
from service.jobs.run import JobRun
from service.registry import ServedGraph
from service.sessions import Runnable
from service.sizes import SizeWish
from service.video import wire
from service.video.formats import CodecName, ContainerName
from service.video.process import Child
from service.video.records import Plan, Wishes

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class VideoParams:
    """What the caller asks for: of the size as in SizeWish, of the file as in Wishes; `crf` None: the codec's own."""

    model: str
    scale: float | None = None
    width: int | None = None
    height: int | None = None
    ensemble: bool = False
    codec: CodecName = "h264"
    crf: int | None = None
    container: ContainerName | None = None
    tiling: Literal["fast", "exact"] = "fast"
    scene_detection: Literal["on", "off"] = "on"

    @property
    def wishes(self) -> Wishes:
        """How the pictures are to be written."""
        return Wishes(self.codec, self.crf, self.container)

    @property
    def size(self) -> SizeWish:
        """How large the pictures are to be."""
        return SizeWish(self.scale, self.width, self.height)


@dataclass(frozen=True)
class Frame:
    """A decoded frame: its number in the video, its timestamp and duration in the source's time base."""

    number: int
    pts: int
    duration: int
    is_cut: bool
    pixels: NDArray[Any]


@dataclass(frozen=True)
class VideoWork:
    """One run's parts."""

    run: JobRun
    params: VideoParams
    plan: Plan
    graph: ServedGraph
    session: Runnable

    @property
    def radius(self) -> int:
        """Neighbours that the network sees on each side."""
        return window_radius(self.graph.manifest)

    def segment_of(self, frame: int) -> int:
        """The segment that the frame belongs to."""
        return frame // self.plan.segment_frames

    def segment_path(self, number: int) -> Path:
        """Named after the plan too: another plan's segments are none of these."""
        return self.run.folder / f"segment-{self._plan_digest}-{number:06d}.seg"

    @cached_property
    def _plan_digest(self) -> str:
        return hashlib.sha256(self.plan.to_json().encode()).hexdigest()[:12]

    def finished(self) -> dict[int, Segment]:
        """This plan's segments that need not be made again."""
        return {
            number: segment
            for number, segment in self.run.segments.items()
            if segment.file == self.segment_path(number).name
        }


class SegmentsWriter:
    """Gives frames to the encoder, segment by segment, and notes each when it is on the disk."""

    def __init__(self, encoder: Child, work: VideoWork) -> None:
        self._encoder = encoder
        self._work = work
        self._open: int | None = None
        self._begun: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()  # number, frames
        self._frames = 0
        self._noting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._noting = asyncio.create_task(self._note())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._noting is not None
        self._noting.cancel()
        await asyncio.gather(self._noting, return_exceptions=True)

    async def add(self, frame: Frame, pixels: NDArray[Any]) -> None:
        """The next frame."""
        self._raise_fault()
        number = self._work.segment_of(frame.number)
        if number != self._open:
            await self._close()
            self._open = number
            await self._encoder.send_document(wire.BEGIN, {"path": str(self._work.segment_path(number))})
        head = wire.FRAME_HEAD.pack(frame.pts, frame.duration, frame.is_cut)
        await self._encoder.send(wire.FRAME, head, pixels.data.cast("B"))
        self._frames += 1

    async def end(self) -> None:
        """No more frames: returns when all segments are noted."""
        await self._close()
        await self._encoder.send(wire.END)
        await self._begun.put(None)
        assert self._noting is not None
        await self._noting

    async def _close(self) -> None:
        if self._open is not None:
            await self._encoder.send(wire.DONE)
            await self._begun.put((self._open, self._frames))
            self._open, self._frames = None, 0

    async def _note(self) -> None:
        while (begun := await self._begun.get()) is not None:
            number, frames = begun
            _, document = await self._encoder.receive()
            assert document["frames"] == frames
            name = self._work.segment_path(number).name
            await self._work.run.finish_segment(Segment(number, name, frames, document["bytes"], document["sha256"]))

    def _raise_fault(self) -> None:
        assert self._noting is not None
        if self._noting.done():
            self._noting.result()


def settled_plan(folder: Path, plan: Plan) -> Plan:
    """The plan that this job began with, if nothing has changed but the number of cores; else this one, from now on."""
    path = folder / PLAN_FILE
    try:
        begun = Plan.from_json(path.read_text())
    except (OSError, ValueError, TypeError, KeyError):
        begun = None
    if begun is not None and begun == replace(plan, threads=begun.threads):
        return begun
    partial = path.with_suffix(".part")
    partial.write_text(plan.to_json())
    partial.rename(path)
    sync_file(path)
    return plan
