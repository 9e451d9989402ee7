"""What is refused before a picture is decoded, and what decides the result's bytes."""

import dataclasses
from typing import Any

import pytest

from service.codecs import ImageLimits
from service.errors import (
    BadParameter,
    OutputTooLarge,
    ServiceError,
    TooManyPixels,
    UnsupportedVideo,
    VideoTooLong,
    WrongSize,
)
from service.manifest import Manifest
from service.video.plan import (
    SEGMENT_FRAMES,
    VideoLimits,
    check_facts,
    check_network,
    check_wishes,
    guessed_frames,
    make_plan,
)
from service.video.records import Colour, Plan, VideoFacts, Wishes
from tests import oracles

FACTS = VideoFacts(
    container="mp4",
    codec="h264",
    width=100,
    height=50,
    turns=0,
    pixel_format="yuv420p",
    colour=Colour(2, 2, 2, 0),
    time_base="1/90000",
    rate="30000/1001",
    aspect="1",
    duration_s=10.0,
    frames=300,
    interlaced=False,
    has_alpha=False,
    others=("audio: aac",),
)
LIMITS = VideoLimits(ImageLimits(max_input_pixels=10_000, max_side=200), 30_000, max_frames=1000, max_s=60.0)
H264 = Wishes("h264", None, None)


def manifest(**changes: Any) -> Manifest:  # noqa: ANN401 - any field
    return oracles.manifest("nearest", scale=2, **changes)


def facts(**changes: Any) -> VideoFacts:  # noqa: ANN401 - any field
    return dataclasses.replace(FACTS, **changes)


def plan(found: VideoFacts = FACTS, wishes: Wishes = H264, *, scale: int = 2, frame_macs: int = 1) -> Plan:
    size = (found.height * scale, found.width * scale)
    return make_plan(found, wishes, size, frame_macs=frame_macs, threads=2, versions={})


@pytest.mark.parametrize(
    ("changes", "kind", "members"),
    [
        ({"width": 201}, TooManyPixels, {"limit": 200, "actual": 201}),
        ({"width": 150, "height": 100}, TooManyPixels, {"limit": 10_000, "actual": 15_000}),
        ({"frames": 1001}, VideoTooLong, {"limit": 1000, "actual": 1001}),
        ({"duration_s": 60.5}, VideoTooLong, {"limit": 60.0, "actual": 60.5}),
        ({"interlaced": True}, UnsupportedVideo, {}),
        ({"has_alpha": True}, UnsupportedVideo, {}),
    ],
)
def test_what_is_too_much_or_cannot_be_kept_is_refused_with_limit_and_value(
    changes: dict[str, Any], kind: type[ServiceError], members: dict[str, Any]
) -> None:
    with pytest.raises(kind) as caught:
        check_facts(facts(**changes), LIMITS)
    assert caught.value.members == members


def test_what_the_network_would_make_is_bounded() -> None:
    check_network(FACTS, LIMITS, manifest())
    with pytest.raises(OutputTooLarge) as caught:
        check_network(facts(height=99), LIMITS, manifest())
    assert caught.value.members == {"limit": 30_000, "actual": 39_600}


def test_a_network_of_one_size_takes_videos_of_that_size() -> None:
    check_network(FACTS, LIMITS, manifest(fixed_size=(50, 100)))
    with pytest.raises(WrongSize):
        check_network(FACTS, LIMITS, manifest(fixed_size=(50, 101)))


def test_unknown_lengths_are_no_reason_to_refuse() -> None:
    check_facts(facts(frames=None, duration_s=None), LIMITS)
    assert guessed_frames(facts(frames=None)) == 300
    assert guessed_frames(facts(frames=None, duration_s=None)) is None


@pytest.mark.parametrize(
    ("wishes", "names"),
    [
        (Wishes("h264", 52, None), "0 to 51"),
        (Wishes("av1", 64, None), "0 to 63"),
        (Wishes("ffv1", 10, None), "lossless"),
        (Wishes("ffv1", None, "mp4"), "mkv can"),
        (Wishes("h264", None, "webm"), "mp4, mov, mkv can"),
    ],
)
def test_wishes_that_exclude_each_other_are_refused_by_name(wishes: Wishes, names: str) -> None:
    with pytest.raises(BadParameter, match=names):
        check_wishes(wishes)


@pytest.mark.parametrize(
    ("container", "codec", "written"),
    [
        ("mp4", "h264", "mp4"),
        ("mov", "av1", "mov"),
        ("webm", "h264", "mkv"),
        ("webm", "av1", "webm"),
        ("mp4", "ffv1", "mkv"),
    ],
)
def test_the_container_stays_if_it_can_hold_the_codec(container: Any, codec: Any, written: str) -> None:  # noqa: ANN401
    assert plan(facts(container=container), Wishes(codec, None, None)).container == written


def test_the_crf_is_the_codecs_unless_one_is_wished() -> None:
    assert plan().crf == 18
    assert plan(wishes=Wishes("h264", 0, None)).crf == 0
    assert plan(wishes=Wishes("ffv1", None, None)).crf is None


def test_segments_are_short_where_frames_are_dear() -> None:
    assert plan(frame_macs=0).segment_frames == SEGMENT_FRAMES[1]
    assert plan(frame_macs=10**10).segment_frames == 100
    assert plan(frame_macs=10**13).segment_frames == SEGMENT_FRAMES[0]


def test_more_than_eight_bits_go_through_the_network_as_sixteen() -> None:
    assert (plan().bits, plan(facts(pixel_format="yuv420p10le")).bits) == (8, 16)
    assert plan().frame_bytes == 200 * 100 * 3
    assert plan(facts(pixel_format="yuv420p10le")).frame_bytes == 200 * 100 * 6


def test_an_odd_side_that_the_codec_cannot_write_names_those_that_can() -> None:
    with pytest.raises(UnsupportedVideo) as caught:
        plan(facts(width=101), Wishes("av1", None, None), scale=3)
    assert caught.value.members == {"supported": ["h264", "h265", "ffv1"]}


@pytest.mark.parametrize(
    ("container", "codec", "is_told"),
    [
        ("mkv", "h264", True),
        ("mp4", "av1", True),
        ("mkv", "av1", False),
        ("webm", "av1", False),
        ("mkv", "ffv1", False),
    ],
)
def test_the_shape_of_a_pixel_is_told_or_the_video_is_refused(container: Any, codec: Any, is_told: bool) -> None:  # noqa: ANN401
    found, wishes = facts(aspect="4/3"), Wishes(codec, None, container)
    if is_told:
        assert plan(found, wishes).facts.aspect == "4/3"
    else:
        with pytest.raises(UnsupportedVideo, match="not square"):
            plan(found, wishes)
        plan(facts(aspect="1"), wishes)


def test_a_plan_survives_being_written_down() -> None:
    made = make_plan(FACTS, H264, (100, 200), frame_macs=1, threads=3, versions={"av": "1"})
    assert Plan.from_json(made.to_json()) == made
    with pytest.raises((ValueError, TypeError, KeyError)):
        Plan.from_json('{"facts": {}}')


@pytest.mark.parametrize(
    ("given", "lines", "expected"),
    [
        (Colour(2, 2, 2, 0), 576, Colour(2, 2, 6, 1)),
        (Colour(2, 2, 2, 0), 720, Colour(2, 2, 1, 1)),
        (Colour(9, 16, 9, 1), 576, Colour(9, 16, 9, 1)),
        (Colour(1, 13, 0, 2), 576, Colour(1, 13, 1, 2)),
        (Colour(1, 1, 5, 2), 1080, Colour(1, 1, 5, 2)),
    ],
)
def test_colour_that_is_not_told_is_what_players_take_it_for(given: Colour, lines: int, expected: Colour) -> None:
    assert plan(facts(colour=given, height=lines)).colour == expected
