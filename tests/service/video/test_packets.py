"""Segments keep packets as they are; decoding times are what any container may demand."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.packets import EncodedPacket, SegmentReader, SegmentWriter, decoding_times

PACKETS = [EncodedPacket(pts, 512, pts == 0, bytes([pts % 256]) * pts) for pts in (0, 1024, 512, 2048, 1536)]


def written(packets: list[EncodedPacket] = PACKETS) -> bytes:
    file = io.BytesIO()
    writer = SegmentWriter(file, b"extra")
    for packet in packets:
        writer.add(packet)
    return file.getvalue()


def test_a_segment_is_read_as_it_was_written() -> None:
    reader = SegmentReader(io.BytesIO(written()))
    assert reader.extradata == b"extra"
    assert list(reader) == PACKETS
    assert list(SegmentReader(io.BytesIO(written())).times()) == [(packet.pts, 512) for packet in PACKETS]
    assert list(SegmentReader(io.BytesIO(written([])))) == []


@pytest.mark.parametrize("size", [0, 3, 9, 14, 30, len(written()) - 1])
def test_a_segment_that_breaks_off_is_noticed(size: int) -> None:
    def read() -> list[EncodedPacket]:
        return list(SegmentReader(io.BytesIO(written()[:size])))

    with pytest.raises(ValueError, match="segment"):
        read()


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    st.integers(-10_000, 10_000),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_decoding_times_grow_and_none_is_after_its_picture(
    steps: list[int], start: int, late: int, chance: object
) -> None:
    """Whatever the frame rate, and however pictures are reordered within `late` places."""
    shown = [start + sum(steps[:place]) for place in range(len(steps))]
    # Each picture is sent up to `late` places before those that are shown before it.
    order = sorted(range(len(shown)), key=lambda place: place - chance.randint(0, late))  # type: ignore[attr-defined]
    timestamps = [shown[place] for place in order]
    times = decoding_times(timestamps)
    assert len(times) == len(timestamps)
    assert all(before < after for before, after in pairwise(times))
    assert all(dts <= pts for dts, pts in zip(times, timestamps, strict=True))


def test_pictures_in_order_are_decoded_when_they_are_shown() -> None:
    assert decoding_times([0, 3, 5, 9]) == [0, 3, 5, 9]
    assert decoding_times([7]) == [7]


def test_one_picture_late_by_one_moves_all_by_one() -> None:
    assert decoding_times([0, 20, 10, 30]) == [-10, 0, 10, 20]
