"""probe: what a video file holds, as far as its headers and its first picture tell; on request, how many pictures."""

from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from service.video import wire
from service.video.child.sandbox import Refusal, first_line, open_input, versions
from service.video.formats import READ_CODECS, ContainerName, read_pixel_format
from service.video.records import Colour, VideoFacts

_INTERLACED = (2, 3, 4, 5)  # AVFieldOrder: tt, bb, tb, bt
_PACKETS_TO_FIRST = 500
PACKETS_A_PULSE = 2000  # after which it is told that the work goes on


def probe(orders: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    """Orders: path, container, max_pixels, count. Answers a VideoFacts, and the versions of the libraries."""
    with open_input(orders["path"], orders["container"]) as container:
        stream = picture_stream(container)
        _check_size(stream, orders["max_pixels"])
        first = _first_frame(container, stream)
        facts = _facts(container, stream, first, orders["container"])
    if orders["count"]:
        facts |= {"frames": _count(orders, answers), "counted": True}
    wire.send_document(answers, wire.DONE, {"facts": facts, "versions": versions()})


def picture_stream(container: InputContainer) -> VideoStream:
    """The stream whose pictures are enlarged: the first one that is no cover. Raises Refusal."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            name = stream.codec_context.codec.canonical_name
            if name not in READ_CODECS:
                raise Refusal(
                    "unsupported-media", f"Its pictures are {name}; {', '.join(sorted(READ_CODECS))} are read."
                )
            return stream
    raise Refusal("undecodable-video", "The file has no video stream that can be read.")


def turns_of(frame: av.VideoFrame) -> int:
    """Quarter turns counterclockwise that make the frame upright. Raises Refusal for an angle between."""
    if frame.rotation % 90:
        raise Refusal("unsupported-video", f"The pictures are turned by {frame.rotation} degrees, no quarter turns.")
    return frame.rotation // 90 % 4


def _check_size(stream: VideoStream, max_pixels: int) -> None:
    """Before a picture is decoded. A decoder of which the header lies stops at its memory's limit."""
    context = stream.codec_context
    if context.width * context.height > max_pixels:
        raise Refusal(
            "too-many-pixels",
            f"The frames have {context.width}x{context.height} = {context.width * context.height} pixels; "
            f"at most {max_pixels} are taken.",
        )


def _first_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    for number, packet in enumerate(container.demux(stream)):
        try:
            for frame in packet.decode():
                return frame
        except av.FFmpegError as error:
            if number > _PACKETS_TO_FIRST:
                raise Refusal("undecodable-video", f"No picture can be decoded: {first_line(error)}.") from error
    raise Refusal("undecodable-video", "No picture can be decoded.")


def _facts(container: InputContainer, stream: VideoStream, first: av.VideoFrame, name: ContainerName) -> dict[str, Any]:
    context = stream.codec_context
    turns = turns_of(first)
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    kind = read_pixel_format(first.format.name)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    duration_s = _duration_s(container, stream)
    aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
    facts = VideoFacts(
        container=name,
        codec=context.codec.canonical_name,
        width=width,
        height=height,
        turns=turns,
        pixel_format=first.format.name,
        colour=Colour(
            int(first.color_primaries),
            int(first.color_trc),
            int(first.colorspace),
            2 if kind.full_range else int(first.color_range),
        ),
        time_base=str(stream.time_base),
        rate=str(rate),
        aspect=str(1 / aspect if turns % 2 and aspect else aspect or Fraction(1)),
        duration_s=duration_s,
        frames=stream.frames or (None if duration_s is None else round(duration_s * rate)),
        interlaced=first.interlaced_frame or context.field_order in _INTERLACED,
        has_alpha=kind.has_alpha or stream.metadata.get("alpha_mode") == "1",
        others=tuple(stream_label(other) for other in container.streams if other.index != stream.index),
    )
    return {**vars(facts), "colour": vars(facts.colour)}


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def stream_label(stream: Any) -> str:  # noqa: ANN401 - of any of av's stream classes
    """Such as "audio: aac"."""
    context = stream.codec_context
    return f"{stream.type}: {context.codec.canonical_name}" if context is not None else str(stream.type)


def _count(orders: dict[str, Any], answers: BinaryIO) -> int:
    """The pictures that the file says it has, one a packet; nothing is decoded."""
    with open_input(orders["path"], orders["container"]) as container:
        frames = 0
        for number, packet in enumerate(container.demux(picture_stream(container))):
            frames += packet.size > 0 and not packet.is_discard
            if number % PACKETS_A_PULSE == 0:
                wire.send(answers, wire.PULSE)
        return frames
