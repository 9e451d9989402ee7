"""A forecast lies between two futures; where between, is learned from what comes true."""

import pytest

from service.forecast import Forecast, Forecaster

EFFORT = 5000.0


def learned(truth_s: float, *, times: int = 60) -> Forecast:
    """A forecast between 20 and 100 s, after so many such works have taken `truth_s`."""
    forecaster = Forecaster()
    for _ in range(times):
        forecaster.learn(forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT), truth_s)
    return forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT)


@pytest.mark.parametrize("truth_s", [20.0, 45.0, 100.0])
def test_where_the_truth_lies_between_the_two_is_learned(truth_s: float) -> None:
    made = learned(truth_s)
    assert made.total_s == pytest.approx(truth_s, rel=0.01)
    assert made.queue_s == pytest.approx(truth_s - 10, rel=0.02)


@pytest.mark.parametrize(("truth_s", "expected"), [(1.0, 20.0), (1e6, 100.0)])
def test_a_wild_measurement_does_not_lead_beyond_them(truth_s: float, expected: float) -> None:
    assert learned(truth_s).total_s == pytest.approx(expected, rel=0.01)


def test_noise_around_an_end_does_not_draw_away_from_it() -> None:
    forecaster = Forecaster()
    for turn in range(200):
        forecaster.learn(forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT), 100 + (30 if turn % 2 else -30))
    assert forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT).total_s > 90


def test_where_the_two_are_nearly_one_little_is_learned() -> None:
    forecaster = Forecaster()
    before = forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT)
    for _ in range(20):
        forecaster.learn(forecaster.between(100.0, 100.1, alone_s=10.0, effort=EFFORT), 500.0)
    assert forecaster.between(20.0, 100.0, alone_s=10.0, effort=EFFORT).total_s == pytest.approx(
        before.total_s, rel=0.02
    )
    forecaster.learn(forecaster.between(5.0, 5.0, alone_s=5.0, effort=EFFORT), 9.0)


def test_beside_others_a_work_never_takes_less_than_alone() -> None:
    made = Forecaster().between(3.0, 4.0, alone_s=5.0, effort=EFFORT)
    assert (made.least_s, made.most_s, made.total_s, made.queue_s) == (5.0, 5.0, 5.0, 0.0)


def test_works_of_other_sizes_have_another_fate() -> None:
    forecaster = Forecaster()
    for _ in range(60):
        forecaster.learn(forecaster.between(20.0, 100.0, alone_s=10.0, effort=4096.0), 100.0)
        forecaster.learn(forecaster.between(20.0, 100.0, alone_s=10.0, effort=8192.0), 20.0)
    totals = [forecaster.between(20.0, 100.0, alone_s=10.0, effort=each).total_s for each in (4096, 8191, 8192, 0.1)]
    assert totals == [pytest.approx(100, rel=0.01), pytest.approx(100, rel=0.01), pytest.approx(20, rel=0.01), 60.0]
