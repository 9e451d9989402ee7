"""mux: the segments' pictures and all that came beside the source's, as they are, into one file."""

import heapq
import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from service.jobs.folder import sync_file
from service.video import wire
from service.video.child.probing import picture_stream, stream_label
from service.video.child.sandbox import Refusal, first_line, open_input
from service.video.child.streams import add_pictures
from service.video.formats import MUXERS
from service.video.packets import SegmentReader, decoding_times
from service.video.records import Plan

PACKETS_A_PULSE = 500  # after which it is told that the work goes on

# What the container writes itself, or what was true of the source's file only.
_OWN_TAGS = frozenset(("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "rotate"))
_STATISTICS = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS_")


def mux(orders: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    """Orders: path, plan, segments (paths, none to try only), target. Answers what was copied, and what could not be.

    With no segments nothing is written: it is tried whether the container takes these streams.
    """
    plan = Plan.from_json(orders["plan"])
    with open_input(orders["path"], plan.facts.container) as source:
        labels = {stream.index: stream_label(stream) for stream in _others(source)}
        copied = _copyable(plan, source, list(labels))
        if orders["segments"]:
            target = Path(orders["target"])
            with av.open(
                str(target), "w", format=MUXERS[plan.container], container_options=_options(plan)
            ) as container:
                result = _Result(plan, source, container, copied)
                container.start_encoding()
                for number, packet in enumerate(result.packets([Path(path) for path in orders["segments"]])):
                    container.mux_one(packet)
                    if number % PACKETS_A_PULSE == 0:
                        wire.send(answers, wire.PULSE)
            sync_file(target)
    document = {
        "copied": [labels[index] for index in copied],
        "not_copied": [label for index, label in labels.items() if index not in copied],
    }
    wire.send_document(answers, wire.DONE, document)


def _others(source: InputContainer) -> list[Stream]:
    """What came beside the pictures; tracks that hold an mp4's chapters are not streams, but written anew."""
    pictures = picture_stream(source).index
    return [stream for stream in source.streams if stream.index != pictures and stream.discard != Discard.all]


def _copyable(plan: Plan, source: InputContainer, indices: list[int]) -> list[int]:
    """Those of the streams that the container takes. Raises Refusal where it does not even take the pictures."""
    if _fault(plan, source, indices) is None:
        return indices
    taken: list[int] = []
    fault = _fault(plan, source, taken)
    if fault is not None:
        raise Refusal(
            "unsupported-video", f"These pictures cannot be written as {plan.codec} in {plan.container}: {fault}."
        )
    for index in indices:
        if _fault(plan, source, [*taken, index]) is None:
            taken.append(index)
    return taken


def _fault(plan: Plan, source: InputContainer, indices: list[int]) -> str | None:
    """What the container says to a header with these streams."""
    try:
        with av.open(io.BytesIO(), "w", format=MUXERS[plan.container]) as container:
            _Result(plan, source, container, indices)
            container.start_encoding()
    except (av.FFmpegError, ValueError, NotImplementedError) as error:
        return first_line(error)
    return None


def _options(plan: Plan) -> dict[str, str]:
    options = {"fflags": "+bitexact"}  # no random ids, no dates: equal jobs, equal files
    if plan.container in ("mp4", "mov"):
        options["movflags"] = "+faststart"  # the index comes first, for players that begin before the end
    return options


class _Result:
    """The result's streams, in the source's order."""

    def __init__(self, plan: Plan, source: InputContainer, container: OutputContainer, indices: list[int]) -> None:
        self._plan = plan
        self._source = source
        self._container = container
        self._copies: dict[int, Stream] = {}  # by the index in the source
        pictures = picture_stream(source)
        for stream in source.streams:
            if stream.index == pictures.index:
                self._pictures = add_pictures(container, plan)
                _dress(self._pictures, stream)
            elif stream.index in indices:
                self._copy(stream)
        container.metadata.update(_tags(source.metadata))
        if source.chapters():
            container.set_chapters(source.chapters())

    def _copy(self, stream: Stream) -> None:
        if isinstance(stream, AttachmentStream):
            name = stream.metadata.get("filename", f"attachment{stream.index}")
            self._container.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
            return
        made = self._container.add_stream_from_template(stream, opaque=True)
        _dress(made, stream)
        self._copies[stream.index] = made

    def packets(self, segments: list[Path]) -> Iterator["Packet[Any]"]:
        """All of them, by the time at which they are decoded."""
        streams: list[Iterator[tuple[float, int, Packet[Any]]]]
        streams = [self._picture_packets(segments), self._copied_packets()]
        return (packet for _, _, packet in heapq.merge(*streams, key=lambda item: item[:2]))

    def _picture_packets(self, segments: list[Path]) -> Iterator[tuple[float, int, "Packet[VideoStream]"]]:
        # The muxer may count in another unit than the source did; packets are told in the source's.
        time_base = Fraction(self._plan.facts.time_base)
        told: dict[int, int] = {}
        for path in segments:
            with path.open("rb") as file:
                told.update(SegmentReader(file).times())
        timestamps = list(told)
        times = decoding_times(timestamps)
        durations = self._durations(told)
        if MUXERS[self._plan.container] in ("mp4", "mov"):  # which take a packet's for its time until the next packet's
            end = max(pts + duration for pts, duration in durations.items())
            durations[timestamps[-1]] = max(1, end - min(timestamps) + times[0] - times[-1])
        upcoming = iter(times)
        extradata = self._pictures.codec_context.extradata or b""
        for path in segments:
            with path.open("rb") as file:
                reader = SegmentReader(file)
                if reader.extradata != extradata:
                    raise RuntimeError(f"{path.name} was encoded with other settings")
                for encoded in reader:
                    packet: Packet[VideoStream] = Packet(encoded.content)  # type: ignore[assignment]  # of any stream
                    packet.stream, packet.time_base = self._pictures, time_base
                    packet.pts, packet.dts, packet.duration = (
                        encoded.pts,
                        next(upcoming),
                        durations[encoded.pts],
                    )
                    packet.is_keyframe = encoded.is_key
                    yield float(packet.dts * time_base), 0, packet

    def _durations(self, told: dict[int, int]) -> dict[int, int]:
        """How long each picture is shown: until the next; the last until the source's stream ends, where that is known.

        `told` is what the decoder says, which may be another picture's, where they are not decoded in their order.
        """
        shown = sorted(told)
        durations = {pts: after - pts for pts, after in pairwise(shown)} | {shown[-1]: told[shown[-1]]}
        source = picture_stream(self._source)
        if source.duration is not None and source.start_time is not None:
            rest = source.start_time + source.duration - shown[-1]
            if rest > 0:
                durations[shown[-1]] = rest
        return durations

    def _copied_packets(self) -> Iterator[tuple[float, int, "Packet[Stream]"]]:
        wanted = [self._source.streams[index] for index in self._copies]
        last = float("-inf")
        for packet in self._source.demux(wanted) if wanted else ():
            if packet.size == 0:
                continue
            if packet.dts is not None:
                last = max(last, float(packet.dts * packet.time_base))
            packet.stream = self._copies[packet.stream_index]
            yield last, 1, packet


def _dress(made: Stream, source: Stream) -> None:
    made.metadata.update(_tags(source.metadata))
    made.disposition = source.disposition


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in tags.items()
        if name.lower() not in _OWN_TAGS and not name.upper().startswith(_STATISTICS)
    }
