"""encode: pictures from stdin to segment files. A segment's encoder ends while the next one's has begun."""

import hashlib
import io
import os
import queue
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.jobs.folder import sync_folder
from service.video import wire
from service.video.child.colour import from_rgb
from service.video.child.sandbox import disk_fault, first_line
from service.video.child.streams import add_pictures
from service.video.packets import EncodedPacket, SegmentWriter
from service.video.records import Plan

WAITING_FRAMES = 4  # that may be here while the encoder is busy

Timed = tuple[int, int, NDArray[Any]]


def encode(orders: dict[str, Any], pictures: BinaryIO, answers: BinaryIO) -> None:
    """Orders: plan. Then messages: BEGIN (path), its FRAMEs, DONE, and so on; END at the end.

    Answers a DONE for each segment, in order, when its file is complete and on the disk.
    """
    plan = Plan.from_json(orders["plan"])
    shape = (plan.height, plan.width, 3)
    dtype = np.uint8 if plan.bits == 8 else np.uint16
    answering = threading.Lock()
    segment: _Segment | None = None
    before: _Segment | None = None
    while True:
        kind, size = wire.receive_head(pictures)
        if kind == wire.BEGIN:
            segment = _Segment(plan, Path(wire.receive_document(pictures, size)["path"]), answers, answering, before)
        elif kind == wire.FRAME:
            assert segment is not None
            pts, duration, _ = wire.FRAME_HEAD.unpack(wire.receive_exactly(pictures, wire.FRAME_HEAD.size))
            pixels: NDArray[Any] = np.empty(shape, dtype)
            wire.receive_into(pictures, pixels.data.cast("B"))
            segment.add((pts, duration, pixels))
        elif kind == wire.DONE:
            assert segment is not None
            segment.end()
            before, segment = segment, None
        else:
            if before is not None:
                before.thread.join()
            return


class _Segment:
    """One segment under way, in a thread of its own; answers when it is done, after the one before it."""

    def __init__(
        self, plan: Plan, path: Path, answers: BinaryIO, answering: threading.Lock, before: "_Segment | None"
    ) -> None:
        self._plan = plan
        self._path = path
        self._answers = answers
        self._answering = answering
        self._before = before
        self._waiting: queue.Queue[Timed | None] = queue.Queue(WAITING_FRAMES)
        self._frames = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add(self, frame: Timed) -> None:
        self._waiting.put(frame)

    def end(self) -> None:
        self._waiting.put(None)

    def _run(self) -> None:
        try:
            document = self._encode()
        except OSError as error:
            fault = disk_fault(error) or {"code": "internal-error", "detail": first_line(error)}
            self._fail(fault["code"], fault["detail"])
        except Exception as error:  # noqa: BLE001 - told, and then the process ends
            self._fail("internal-error", f"{type(error).__name__}: {first_line(error)}")
        else:
            if self._before is not None:
                self._before.thread.join()
                self._before = None
            with self._answering:
                wire.send_document(self._answers, wire.DONE, document)

    def _fail(self, code: str, detail: str) -> None:
        with self._answering:
            wire.send_document(self._answers, wire.FAULT, {"code": code, "detail": detail})
        os._exit(1)

    def _encode(self) -> dict[str, Any]:
        # Frames of the encoder's own container are not used: it is only there for the stream to belong to.
        with av.open(io.BytesIO(), "w", format="matroska") as container:
            stream = add_pictures(container, self._plan)
            stream.codec_context.open()
            partial = self._path.with_suffix(f".{os.getpid()}.part")
            with partial.open("wb") as file:
                writer = SegmentWriter(file, stream.codec_context.extradata or b"")
                self._write(writer, stream)
                file.flush()
                os.fsync(file.fileno())
        partial.rename(self._path)
        sync_folder(self._path.parent)
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": self._path.stat().st_size, "sha256": digest, "frames": self._frames}

    def _write(self, writer: SegmentWriter, stream: VideoStream) -> None:
        durations: dict[int, int] = {}

        def add(packets: "Iterable[Packet[Any]]") -> None:
            for packet in packets:
                assert packet.pts is not None
                content = bytes(packet)
                writer.add(EncodedPacket(packet.pts, durations.pop(packet.pts), packet.is_keyframe, content))

        while (timed := self._waiting.get()) is not None:
            pts, durations[pts], pixels = timed
            frame = from_rgb(pixels, self._plan.colour, pixel_format=self._plan.pixel_format)
            frame.pts, frame.time_base = pts, stream.time_base
            add(stream.codec_context.encode(frame))
            self._frames += 1
        add(stream.codec_context.encode(None))
