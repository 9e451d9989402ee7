"""The encoder, as a plan sets it: the same for every segment, and for the stream that they are joined to."""

from fractions import Fraction
from typing import cast

from av.container import OutputContainer
from av.video.stream import VideoStream

from service.video.formats import ENCODERS
from service.video.records import Plan


def add_pictures(container: OutputContainer, plan: Plan) -> VideoStream:
    """The stream of the enlarged pictures."""
    encoder = ENCODERS[plan.codec]
    options = dict(encoder.options)
    if plan.crf is not None:
        options["crf"] = str(plan.crf)
    if plan.codec == "h265":
        # x265's threads are its own, and it would take all cores; the number of frames at once changes its bytes.
        options["x265-params"] += f":pools={plan.threads}:frame-threads={min(plan.threads, 4)}"
    if plan.codec == "av1":
        options["svtav1-params"] = f"lp={plan.threads}"
    stream = cast(VideoStream, container.add_stream(encoder.name, rate=Fraction(plan.facts.rate), options=options))
    stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, plan.pixel_format
    context = stream.codec_context
    stream.time_base = context.time_base = Fraction(plan.facts.time_base)
    context.sample_aspect_ratio = Fraction(plan.facts.aspect)
    context.color_primaries, context.color_trc = plan.colour.primaries, plan.colour.transfer
    context.colorspace, context.color_range = plan.colour.matrix, plan.colour.range
    if plan.codec == "h265" and plan.container in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # what Apple's players look for
    if plan.codec in ("h264", "ffv1"):
        context.thread_count = plan.threads
    if plan.codec == "h264":
        context.thread_type = "FRAME"  # PyAV would take threads for slices, which cost bits
    return stream
