"""Admission: a place and room for each request, 429 at once when there is none, and everything given back."""

from contextlib import suppress

import pytest

from service.admission import LONGEST_RETRY_S, Admission, Readiness, predicted_peak_bytes
from service.codecs import EncodeOptions, ImageHeader, predicted_encoder_bytes
from service.errors import Draining, NotReady, OutputTooLarge, Overloaded
from service.reduction import reduction_bytes


def test_requests_are_counted_while_they_are_inside() -> None:
    admission = Admission(max_requests=2, max_bytes=100)
    with admission.enter(body_bytes=10), admission.enter(body_bytes=20):
        assert admission.requests == 2
        assert admission.bytes == 30
    assert admission.requests == 0
    assert admission.bytes == 0


def test_one_request_too_many_is_refused_and_leaves_no_trace() -> None:
    admission = Admission(max_requests=1, max_bytes=100)
    with admission.enter(body_bytes=0):
        with pytest.raises(Overloaded) as caught, admission.enter(body_bytes=0):
            pytest.fail("it came in")
        assert caught.value.members == {"limit": 1, "actual": 2}
        assert caught.value.retry_after_s is not None
        assert admission.requests == 1
    with admission.enter(body_bytes=0):
        pass


def test_a_request_that_fails_gives_its_place_and_room_back() -> None:
    admission = Admission(max_requests=1, max_bytes=100)
    with suppress(ZeroDivisionError), admission.enter(body_bytes=0) as permit:
        permit.reserve(peak_bytes=90, seconds=5)
        _ = 1 / 0
    assert admission.requests == 0
    assert admission.bytes == 0
    assert admission.drain_s() == 0


def test_bodies_being_read_count_too() -> None:
    admission = Admission(max_requests=9, max_bytes=100)
    with admission.enter(body_bytes=60), pytest.raises(Overloaded), admission.enter(body_bytes=60):
        pytest.fail("it came in")


def test_the_predicted_peak_replaces_the_body() -> None:
    admission = Admission(max_requests=9, max_bytes=100)
    with admission.enter(body_bytes=60) as permit:
        permit.reserve(peak_bytes=100, seconds=0)
        assert admission.bytes == 100
        permit.shrink(held_bytes=30)
        assert admission.bytes == 30


def test_what_does_not_fit_now_is_overload_and_what_never_fits_is_the_requests_fault() -> None:
    admission = Admission(max_requests=9, max_bytes=100)
    with admission.enter(body_bytes=0) as first, admission.enter(body_bytes=0) as second:
        first.reserve(peak_bytes=60, seconds=0)
        with pytest.raises(Overloaded) as now:
            second.reserve(peak_bytes=41, seconds=0)
        with pytest.raises(OutputTooLarge) as never:
            second.reserve(peak_bytes=101, seconds=0)
        second.reserve(peak_bytes=40, seconds=0)
    assert now.value.members == {"limit": 100, "actual": 101}
    assert never.value.members == {"limit": 100, "actual": 101}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(admission: Admission, *, body_bytes: int = 0) -> Overloaded:
    with pytest.raises(Overloaded) as caught, admission.enter(body_bytes=body_bytes):
        pytest.fail("it came in")
    return caught.value


def test_retry_after_is_when_the_first_place_should_be_free() -> None:
    clock = Clock()
    admission = Admission(max_requests=2, max_bytes=100, clock=clock)
    with admission.enter(body_bytes=0) as first, admission.enter(body_bytes=0) as second:
        first.reserve(peak_bytes=0, seconds=50)
        second.reserve(peak_bytes=0, seconds=7)
        clock.now += 3
        assert refused(admission).retry_after_s == pytest.approx(4)
        assert admission.drain_s() == pytest.approx(47)
        second.shrink(held_bytes=0)
        assert refused(admission).retry_after_s == 0  # it is being sent
        clock.now += 100
        assert refused(admission).retry_after_s == 0  # late, and due at any moment
        assert admission.drain_s() == 0


def test_retry_after_is_when_as_many_have_ended_as_make_room() -> None:
    admission = Admission(max_requests=9, max_bytes=100, clock=Clock())
    with admission.enter(body_bytes=30) as a, admission.enter(body_bytes=30) as b, admission.enter(body_bytes=30) as c:
        for permit, seconds in ((a, 50), (b, 7), (c, 20)):
            permit.reserve(peak_bytes=30, seconds=seconds)
        assert refused(admission, body_bytes=40).retry_after_s == pytest.approx(7)
        assert refused(admission, body_bytes=41).retry_after_s == pytest.approx(20)
        assert refused(admission, body_bytes=100).retry_after_s == pytest.approx(50)
        with pytest.raises(Overloaded) as caught:
            c.reserve(peak_bytes=90, seconds=1)  # its own 30 are not in its way, those of the others are
        assert caught.value.retry_after_s == pytest.approx(50)


def test_a_body_that_is_read_ends_nobody_knows_when() -> None:
    admission = Admission(max_requests=1, max_bytes=100, clock=Clock())
    with admission.enter(body_bytes=0):
        assert refused(admission).retry_after_s == 0  # which is said as a second


def test_no_prediction_goes_beyond_five_minutes() -> None:
    admission = Admission(max_requests=1, max_bytes=100, clock=Clock())
    with admission.enter(body_bytes=0) as permit:
        permit.reserve(peak_bytes=0, seconds=1e6)
        assert refused(admission).retry_after_s == LONGEST_RETRY_S


EIGHT_BITS = ImageHeader("jpeg", 6000, 4000, 8, has_alpha=False, frames=1)
SIXTEEN_BITS = ImageHeader("png", 6000, 4000, 16, has_alpha=True, frames=1)


def peak(
    header: ImageHeader, options: EncodeOptions, *, pixels: int, answer_pixels: int = 0, body_bytes: int = 0
) -> int:
    return predicted_peak_bytes(
        header, options, network_pixels=pixels, answer_pixels=answer_pixels or pixels, body_bytes=body_bytes
    )


def test_the_predicted_peak_of_24_megapixels_doubled_is_body_lr_sr_and_encoder() -> None:
    predicted = peak(EIGHT_BITS, EncodeOptions("png"), pixels=96_000_000, body_bytes=10_000_000)
    encoder = predicted_encoder_bytes(EncodeOptions("png"), pixels=96_000_000, bits=8, has_alpha=False)
    assert predicted == 20_000_000 + 72_000_000 + 288_000_000 + encoder


def test_alpha_sixteen_bits_and_dear_encoders_are_counted() -> None:
    encoder = predicted_encoder_bytes(EncodeOptions("png"), pixels=96_000_000, bits=16, has_alpha=True)
    wide = peak(SIXTEEN_BITS, EncodeOptions("png"), pixels=96_000_000)
    assert wide == 24_000_000 * 8 + 96_000_000 * 8 + encoder
    avif, lossless, lossy = (
        peak(EIGHT_BITS, EncodeOptions(name, quality), pixels=96_000_000)
        for name, quality in (("avif", None), ("webp", 100), ("webp", 90))
    )
    assert avif > lossless > lossy


def test_of_a_reduced_answer_the_dearer_of_reducing_and_encoding_counts() -> None:
    reduced = peak(EIGHT_BITS, EncodeOptions("png"), pixels=96_000_000, answer_pixels=54_000_000)
    assert reduced == 72_000_000 + 3 * 96_000_000 + 3 * 54_000_000 + reduction_bytes(pixels=96_000_000, bits=8)
    avif = peak(EIGHT_BITS, EncodeOptions("avif"), pixels=96_000_000, answer_pixels=54_000_000)
    assert avif == peak(EIGHT_BITS, EncodeOptions("avif"), pixels=54_000_000)


def test_of_a_degradation_the_answer_is_the_smaller_picture() -> None:
    down = peak(EIGHT_BITS, EncodeOptions("png"), pixels=1_500_000)
    encoder = predicted_encoder_bytes(EncodeOptions("png"), pixels=1_500_000, bits=8, has_alpha=False)
    assert down == 72_000_000 + 4_500_000 + encoder


def test_readiness_goes_from_starting_over_ready_to_draining() -> None:
    readiness = Readiness()
    assert isinstance(readiness.obstacle(), NotReady)
    readiness.ready()
    assert readiness.obstacle() is None
    readiness.drain()
    obstacle = readiness.obstacle()
    assert isinstance(obstacle, Draining)
    assert obstacle.retry_after_s is not None


def test_a_failed_warm_up_is_told() -> None:
    readiness = Readiness()
    readiness.failed("no memory")
    obstacle = readiness.obstacle()
    assert isinstance(obstacle, NotReady)
    assert obstacle.detail == "no memory"
