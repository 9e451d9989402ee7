"""decode: a video's pictures, upright, as RGB, each with its timestamp and whether a cut lies before it."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from service.frames.scenes import SMALL, CutDetector
from service.video import wire
from service.video.child.colour import to_rgb
from service.video.child.probing import picture_stream, turns_of
from service.video.child.sandbox import Refusal, open_input
from service.video.formats import read_pixel_format
from service.video.records import Plan

MAX_THREADS = 4
FRAMES_A_PULSE = 100  # skipped ones, after which it is told that the work goes on


def decode(orders: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    """Orders: path, plan, skip, detect. Answers frames from number `skip` on, then how many there were in all.

    Frames before are decoded too, for seeking gives other pictures where a file is damaged, and the cuts come out the
    same wherever a job goes on.
    """
    plan = Plan.from_json(orders["plan"])
    detector = CutDetector() if orders["detect"] else None
    number = 0
    with open_input(orders["path"], plan.facts.container) as container:
        pictures = _Pictures(container)
        for number, frame in enumerate(pictures, start=1):
            _check(frame, plan)
            is_cut = detector is not None and detector.begins_shot(_small_luma(frame))
            if number > orders["skip"]:
                _send(answers, frame, plan, is_cut=is_cut)
            elif number % FRAMES_A_PULSE == 0:
                wire.send(answers, wire.PULSE)
    if not number:
        raise Refusal("undecodable-video", "No picture can be decoded.")
    wire.send_document(answers, wire.END, {"frames": number, "damaged": pictures.damaged, "untimed": pictures.untimed})


class _Pictures:
    """The frames in the order in which they are shown. `damaged` counts packets that gave none, `untimed` frames that
    were left out, for their time is not after the one before's.
    """

    def __init__(self, container: InputContainer) -> None:
        self.damaged = 0
        self.untimed = 0
        self._container = container
        self._stream: VideoStream = picture_stream(container)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        last: int | None = None
        for frame in self._decoded():
            if frame.pts is None or (last is not None and frame.pts <= last):
                self.untimed += 1
                continue
            last = frame.pts
            yield frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self.damaged += 1
                continue
            yield from frames


def _check(frame: av.VideoFrame, plan: Plan) -> None:
    turned = (frame.height, frame.width) if plan.facts.turns % 2 else (frame.width, frame.height)
    if turned != (plan.facts.width, plan.facts.height):
        raise Refusal(
            "undecodable-video",
            f"The pictures change their size from {plan.facts.width}x{plan.facts.height} to {turned[0]}x{turned[1]} "
            f"at {float(frame.time or 0):.3f} s; a video has one size.",
        )


def _small_luma(frame: av.VideoFrame) -> np.ndarray[Any, np.dtype[np.float32]]:
    step = max(1, min(frame.height, frame.width) // SMALL)
    small = frame.reformat(
        width=max(1, frame.width // step), height=max(1, frame.height // step), format="gray", interpolation="AREA"
    )
    return small.to_ndarray().astype(np.float32)


def _send(answers: BinaryIO, frame: av.VideoFrame, plan: Plan, *, is_cut: bool) -> None:
    is_rgb = read_pixel_format(frame.format.name).layout == "444" and frame.format.is_rgb
    pixels = to_rgb(frame, plan.colour, bits=plan.bits, is_rgb=is_rgb)
    if plan.facts.turns:
        assert turns_of(frame) == plan.facts.turns or frame.rotation == 0
        pixels = np.ascontiguousarray(np.rot90(pixels, plan.facts.turns))
    assert frame.pts is not None
    head = wire.FRAME_HEAD.pack(frame.pts, frame.duration or 0, is_cut)
    wire.send(answers, wire.FRAME, head, np.ascontiguousarray(pixels).data.cast("B"))
