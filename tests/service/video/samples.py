"""Videos for tests, written by PyAV: small, with everything that a video may bring along."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

Pixels = NDArray[Any]
BT601, BT709 = (6, 6, 6, 1), (1, 1, 1, 1)  # primaries, transfer, matrix, studio range
FULL_RANGE = (1, 1, 1, 2)


@dataclass(frozen=True)
class Sample:
    """What is written; `timestamps` are in units of `time_base`, one a frame."""

    frames: Sequence[Pixels]
    timestamps: Sequence[int]
    time_base: Fraction = Fraction(1, 15360)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    colour: tuple[int, int, int, int] = BT601
    audio: bool = False
    subtitles: str | None = None
    chapters: bool = False
    attachment: bool = False
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


def moving(count: int, *, width: int = 96, height: int = 64, step: int = 2) -> list[Pixels]:
    """RGB frames of a picture that moves steadily and changes everywhere, without cuts."""
    rows, columns = np.mgrid[:height, : width + step * count]
    whole = np.stack(
        [127 + 90 * np.sin(columns / 9 + rows / 17), 127 + 90 * np.sin(columns / 13), 127 + 90 * np.cos(rows / 7)], -1
    )
    return [whole[:, step * at : step * at + width].round().astype(np.uint8) for at in range(count)]


def grey(count: int, *, width: int = 96, height: int = 64) -> list[Pixels]:
    """Frames of three equal channels, random but alike: through full-range luma they pass to the bit."""
    rng = np.random.default_rng(count)
    still = rng.integers(40, 180, (height, width, 1))
    return [(still + rng.integers(0, 20, (height, width, 1))).astype(np.uint8).repeat(3, axis=2) for _ in range(count)]


def uneven(count: int) -> list[int]:
    """Timestamps of a variable frame rate, beginning at 0."""
    return [0, *np.cumsum([(512, 300, 900)[at % 3] for at in range(count - 1)]).tolist()]


def write(path: Path, sample: Sample) -> Path:
    """Writes the file, in the container that its suffix names; returns `path`."""
    with av.open(str(path), "w") as container:
        pictures = _pictures(container, sample)
        audio = _audio(container, path) if sample.audio else None
        subtitles = _subtitles(container, sample.subtitles) if sample.subtitles else None
        if sample.attachment:
            container.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
        container.metadata.update(sample.metadata)
        if sample.chapters:
            container.set_chapters([_chapter(1, 0, 500), _chapter(2, 500, 1000)])
        for timestamp, pixels in zip(sample.timestamps, sample.frames, strict=True):
            frame = _frame(pixels, sample)
            frame.pts, frame.time_base = timestamp, sample.time_base
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if audio is not None:
            _write_audio(container, audio, seconds=float(sample.timestamps[-1] * sample.time_base))
        if subtitles is not None:
            _write_subtitle(container, subtitles)
    return path


def _pictures(container: OutputContainer, sample: Sample) -> VideoStream:
    stream = container.add_stream(sample.codec, rate=30, options=dict(sample.options))
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = sample.frames[0].shape[:2]
    stream.pix_fmt = sample.pixel_format
    context = stream.codec_context
    stream.time_base = context.time_base = sample.time_base
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = sample.colour
    context.sample_aspect_ratio = sample.aspect
    if sample.rotation:
        stream.set_display_rotation(sample.rotation)
    return stream


def _frame(pixels: Pixels, sample: Sample) -> av.VideoFrame:
    matrix, level = sample.colour[2:]
    return av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le").reformat(
        format=sample.pixel_format,
        dst_colorspace={6: 5}.get(matrix, matrix),
        src_color_range=2,
        dst_color_range=level,
        interpolation=2 | 0x40000 | 0x2000 | 0x4000,  # bicubic, careful
    )


def _chapter(number: int, start: int, end: int) -> Any:  # noqa: ANN401 - av's own dictionary
    return {
        "id": number,
        "start": start,
        "end": end,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": f"{number}"},
    }


def _audio(container: OutputContainer, path: Path) -> Any:  # noqa: ANN401
    stream: Any = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
    stream.layout = "mono"
    stream.metadata["language"] = "deu"
    return stream


def _write_audio(container: OutputContainer, stream: Any, *, seconds: float) -> None:  # noqa: ANN401
    size = 960 if stream.codec_context.name == "libopus" else 1024
    for number in range(max(2, int(seconds * 48000) // size)):
        wave = np.sin(np.arange(number * size, (number + 1) * size) * 2 * np.pi * 440 / 48000) * 0.3
        format_name = "s16" if size == 960 else "fltp"
        samples = (wave * 32767).astype(np.int16) if size == 960 else wave.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None], format=format_name, layout="mono")
        frame.sample_rate, frame.pts = 48000, number * size
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _subtitles(container: OutputContainer, codec: str) -> Any:  # noqa: ANN401
    return container.add_mux_stream(codec) if codec == "mov_text" else container.add_stream(codec)


def _write_subtitle(container: OutputContainer, stream: Any) -> None:  # noqa: ANN401
    is_ass = stream.codec_context is not None and stream.codec_context.name == "ass"
    packet: av.Packet[Any] = av.Packet(b"0,0,Default,,0,0,0,,Hello" if is_ass else b"\x00\x05Hello")
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = 100
    packet.duration = 400
    container.mux(packet)


# --- reading what came out, with PyAV alone


def read_pictures(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(frames: Sequence[av.VideoFrame]) -> list[Fraction]:
    """In seconds, exactly."""
    return [frame.pts * frame.time_base for frame in frames if frame.pts is not None and frame.time_base is not None]


def rgb(frame: av.VideoFrame) -> Pixels:
    """The frame as RGB by its own tags."""
    return frame.reformat(
        format="rgb24" if frame.format.components[0].bits == 8 else "rgb48le",
        src_colorspace={6: 5}.get(int(frame.colorspace), int(frame.colorspace)),
        src_color_range=int(frame.color_range) or 1,
        dst_color_range=2,
        interpolation=2 | 0x40000 | 0x2000 | 0x4000,
    ).to_ndarray()


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """(seconds, content) of the first stream of that kind."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]
