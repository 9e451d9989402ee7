"""Progress counts, and its forecast converges."""

import threading

import pytest

from service.jobs.progress import MAX_MARKS, Progress
from service.jobs.record import Steps


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def progress(clock: Clock, total: int, *, done: int = 0) -> Progress:
    made = Progress(Steps("frames"), clock=clock)
    made.expect(total, done=done)
    return made


def test_nothing_is_foretold_of_what_has_not_begun() -> None:
    clock = Clock()
    made = Progress(Steps("frames"), clock=clock)
    made.advance()
    assert made.steps().eta_s is None  # the total is not known
    made.expect(10)
    clock.now += 5
    assert made.steps().eta_s is None  # nor is the speed


def test_a_steady_job_is_foretold_exactly() -> None:
    clock = Clock()
    made = progress(clock, 100)
    for done in range(1, 100):
        clock.now += 2
        made.advance()
        assert made.steps().eta_s == pytest.approx(2 * (100 - done))
    assert (made.steps().done, made.steps().total) == (99, 100)


def test_time_passes_between_steps_too() -> None:
    clock = Clock()
    made = progress(clock, 4)
    clock.now += 10
    made.advance()
    clock.now += 4
    assert made.steps().eta_s == pytest.approx(26)
    clock.now += 100  # a step that takes longer than any before says nothing of the others
    assert made.steps().eta_s == pytest.approx(20)


def test_the_forecast_converges_when_the_speed_changes() -> None:
    clock = Clock()
    made = progress(clock, 400)
    errors = []
    for done in range(1, 400):
        clock.now += 1.0 if done <= 100 else 3.0  # three times as slow from a quarter on
        made.advance()
        truth = sum(1.0 if step <= 100 else 3.0 for step in range(done + 1, 401))
        eta_s = made.steps().eta_s
        assert eta_s is not None
        errors.append(abs(eta_s - truth) / truth)
    assert errors[98] > 0.5  # it cannot know
    assert max(errors[250:]) < 0.01  # and forgets the old speed
    assert errors[150] < errors[110]


def test_what_an_earlier_run_did_says_nothing_of_the_speed() -> None:
    clock = Clock()
    made = progress(clock, 1000, done=900)
    clock.now += 5
    made.advance()
    assert made.steps().eta_s == pytest.approx(5 * 99)
    assert made.steps().done == 901


def test_memory_is_bounded_and_the_forecast_stays_right() -> None:
    clock = Clock()
    made = progress(clock, 100_000)
    for _ in range(50_000):
        clock.now += 0.5
        made.advance()
    assert len(made._marks) <= MAX_MARKS
    assert made.steps().eta_s == pytest.approx(25_000, rel=0.001)


def test_steps_may_be_counted_from_many_threads() -> None:
    made = Progress(Steps("tiles"))

    def count() -> None:
        for _ in range(2000):
            made.advance()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.steps().done == 16_000
