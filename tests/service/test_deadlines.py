"""A deadline is the service's, or less where the caller asks for less; what takes longer is cancelled."""

import asyncio
import time

import pytest

from service.deadlines import Deadline
from service.errors import BadParameter, DeadlineExceeded


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 60), ("1500", 1.5), ("60000", 60), ("60001", 60), ("999999999999", 60), ("001", 0.001)],
)
def test_the_caller_may_ask_for_less(header: str | None, seconds: float) -> None:
    before = time.monotonic()
    deadline = Deadline.asked_for(header, limit_s=60)
    assert deadline.seconds == seconds
    assert before + seconds <= deadline.at <= time.monotonic() + seconds


@pytest.mark.parametrize("header", ["", "0", "00", "-1", "1.5", "1e3", "ten", "١٢", "1" * 13, "x" * 1000])
def test_what_is_no_whole_number_above_zero_is_refused(header: str) -> None:
    with pytest.raises(BadParameter, match="X-Request-Timeout-Ms") as caught:
        Deadline.asked_for(header, limit_s=60)
    assert len(caught.value.detail) < 250


def test_what_is_done_in_time_is_answered() -> None:
    async def answer() -> int:
        return 7

    assert asyncio.run(Deadline.after(60).enforce(answer())) == 7


def test_what_takes_longer_is_cancelled_and_said_to_be_late() -> None:
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(Deadline.after(0.01).enforce(work()))
    assert cancelled
    assert caught.value.members == {"limit": 0.01}


def test_another_timeout_inside_stays_what_it_is() -> None:
    async def work() -> None:
        raise TimeoutError("another")

    with pytest.raises(TimeoutError, match="another"):
        asyncio.run(Deadline.after(60).enforce(work()))


def test_after_it_has_passed_nothing_is_left() -> None:
    assert Deadline(time.monotonic() - 5, 1).left_s() == 0
