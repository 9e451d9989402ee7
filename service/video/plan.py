"""Plans: whether a video may be processed, and everything that decides the bytes of the result."""

from dataclasses import dataclass
from fractions import Fraction

from service.codecs import ImageLimits
from service.errors import (
    BadParameter,
    OutputTooLarge,
    TooManyPixels,
    UnsupportedVideo,
    VideoTooLong,
    WrongSize,
)
from service.manifest import Manifest
from service.video.colours import explicit
from service.video.formats import CODECS, ENCODERS, MUXERS, read_pixel_format, written_pixel_format
from service.video.records import Plan, VideoFacts, Wishes

SEGMENT_MACS = 1_000_000_000_000  # what a killed job repeats at most: ten seconds on two cores of a server
SEGMENT_FRAMES = (
    24,
    240,
)  # at least and at most: a segment begins with a picture that needs no other, which costs bits


@dataclass(frozen=True)
class VideoLimits:
    """`image` and `max_output_pixels` are for each frame."""

    image: ImageLimits
    max_output_pixels: int
    max_frames: int
    max_s: float


def check_wishes(wishes: Wishes) -> None:
    """What can be refused before the file is known. Raises BadParameter."""
    encoder = ENCODERS[wishes.codec]
    if wishes.crf is not None and not (encoder.crf is not None and 0 <= wishes.crf <= encoder.max_crf):
        what = f"is 0 to {encoder.max_crf}" if encoder.crf is not None else "has no place: it is lossless"
        raise BadParameter(
            f"crf={wishes.crf}: the crf of {wishes.codec} {what}.",
            members={"parameter": "crf", "limit": [0, encoder.max_crf], "actual": wishes.crf},
        )
    if wishes.container is not None and wishes.container not in encoder.containers:
        raise BadParameter(
            f"container={wishes.container} cannot hold {wishes.codec}; {', '.join(encoder.containers)} can.",
            members={"parameter": "container", "supported": list(encoder.containers)},
        )


def check_facts(facts: VideoFacts, limits: VideoLimits) -> None:
    """Raises TooManyPixels, VideoTooLong, UnsupportedVideo."""
    pixels, longest = facts.width * facts.height, max(facts.width, facts.height)
    for actual, limit, what in (
        (longest, limits.image.max_side, "pixels on a side"),
        (pixels, limits.image.max_input_pixels, "pixels"),
    ):
        if actual > limit:
            raise TooManyPixels(
                f"The frames have {facts.width}x{facts.height} pixels; at most {limit} {what} are taken.",
                members={"limit": limit, "actual": actual},
            )
    for name, length, most in (
        ("frames", facts.frames, limits.max_frames),
        ("seconds", facts.duration_s, limits.max_s),
    ):
        if length is not None and length > most:
            raise VideoTooLong(
                f"The video has {length:g} {name}, and the limit is {most:g}.",
                members={"limit": most, "actual": length},
            )
    if facts.interlaced:
        raise UnsupportedVideo(
            "The video is interlaced: each picture is two, of different moments. Deinterlace it first."
        )
    if facts.has_alpha:
        raise UnsupportedVideo("The video has an alpha channel, which none of the written codecs keeps.")


def check_network(facts: VideoFacts, limits: VideoLimits, manifest: Manifest) -> None:
    """Whether this network may make frames of these. Raises OutputTooLarge, WrongSize."""
    output_pixels = facts.width * facts.height * manifest.scale**2
    if output_pixels > limits.max_output_pixels:
        raise OutputTooLarge(
            f"The network's frames would have {output_pixels} pixels, and the limit is {limits.max_output_pixels}.",
            members={"limit": limits.max_output_pixels, "actual": output_pixels},
        )
    if manifest.fixed_size is not None and (facts.height, facts.width) != manifest.fixed_size:
        height, width = manifest.fixed_size
        raise WrongSize(
            f"The model {manifest.model} takes pictures of {width}x{height} pixels only, and this video has "
            f"{facts.width}x{facts.height}.",
            members={"supported": [f"{width}x{height}"], "actual": f"{facts.width}x{facts.height}"},
        )


def make_plan(
    facts: VideoFacts, wishes: Wishes, size: tuple[int, int], *, frame_macs: int, threads: int, versions: dict[str, str]
) -> Plan:
    """The plan for facts that have passed, with frames of `size` (height, width), each of `frame_macs`.

    Raises UnsupportedVideo where the codec cannot write such pictures.
    """
    encoder = ENCODERS[wishes.codec]
    container = wishes.container or (facts.container if facts.container in encoder.containers else "mkv")
    height, width = size
    source = read_pixel_format(facts.pixel_format)
    pixel_format = written_pixel_format(source, wishes.codec, height=height, width=width)
    if pixel_format is None:
        able = [codec for codec in CODECS if written_pixel_format(source, codec, height=height, width=width)]
        raise UnsupportedVideo(
            f"{wishes.codec} cannot write pictures of {width}x{height}, an odd side; {', '.join(able)} can.",
            members={"supported": able},
        )
    if Fraction(facts.aspect) != 1 and not encoder.tells_aspect and MUXERS[container] in ("matroska", "webm"):
        raise UnsupportedVideo(
            f"The pixels are not square ({facts.aspect}), which {wishes.codec} in {container} could not be made to "
            "tell. Take codec=h264 or h265, or av1 with container=mp4."
        )
    least, most = SEGMENT_FRAMES
    return Plan(
        facts=facts,
        container=container,
        codec=wishes.codec,
        crf=encoder.crf if wishes.crf is None else wishes.crf,
        width=width,
        height=height,
        pixel_format=pixel_format,
        colour=explicit(facts.colour, lines=facts.height),
        threads=threads,
        segment_frames=min(max(SEGMENT_MACS // max(frame_macs, 1), least), most),
        bits=8 if source.depth == 8 else 16,
        versions=versions,
    )


def guessed_frames(facts: VideoFacts) -> int | None:
    """Frames of the video, if its container says so or its duration and rate are known."""
    if facts.frames is not None or facts.duration_s is None:
        return facts.frames
    return round(facts.duration_s * Fraction(facts.rate))
