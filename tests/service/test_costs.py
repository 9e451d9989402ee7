"""Costs are a line through what was measured, corrected by every run; what was never run is guessed from its work."""

import random

import pytest

from service.costs import FIRST_GUESS_MACS_PER_S, LARGEST_ERROR, LEAST_MACS, STEP, Costs, Line, Network
from tests import oracles

EDSR = Network("edsr", 4, "fp32", 1_000_000.0)
SIZES = [64**2, 128**2, 256**2, 512**2]


def test_a_line_goes_through_the_quickest_run_of_each_size() -> None:
    line = Line.through([(100, 0.9), (100, 0.3), (500, 0.7), (500, 2.0)])
    assert line.pixel_s == pytest.approx(0.001)
    assert line.overhead_s == pytest.approx(0.2)


@pytest.mark.parametrize("runs", [[(100, 1.0)], [(100, 0.5), (400, 0.2)], [(100, 0.1), (200, 0.9)]])
def test_whatever_was_measured_both_numbers_are_positive_and_the_largest_size_is_met(
    runs: list[tuple[int, float]],
) -> None:
    line = Line.through(runs)
    assert line.overhead_s > 0
    assert line.pixel_s > 0
    assert line.seconds(runs[-1][0]) == pytest.approx(runs[-1][1], rel=0.011)


def test_a_machine_that_becomes_three_times_slower_is_soon_predicted_so_at_every_size() -> None:
    line = Line(0.004, 9e-6)
    for turn in range(24):
        pixels = SIZES[turn % 4]
        line.learn(pixels, 3 * (0.004 + 9e-6 * pixels))
    for pixels in SIZES:
        assert line.seconds(pixels) == pytest.approx(3 * (0.004 + 9e-6 * pixels), rel=0.1)


def test_where_only_one_size_occurs_the_others_follow_in_proportion() -> None:
    line = Line(0.004, 9e-6)
    for _ in range(50):
        line.learn(64**2, 2 * (0.004 + 9e-6 * 64**2))
    assert line.seconds(64**2) == pytest.approx(2 * (0.004 + 9e-6 * 64**2), rel=0.01)
    assert 1.5 < line.seconds(512**2) / (0.004 + 9e-6 * 512**2) < 2.5


def test_noise_of_a_fifth_stays_within_a_fifth() -> None:
    chance = random.Random(0)
    line = Line(0.004, 9e-6)
    errors = []
    for _ in range(1000):
        pixels = chance.choice(SIZES)
        line.learn(pixels, (0.004 + 9e-6 * pixels) * chance.lognormvariate(0, 0.2))
        errors += [abs(line.seconds(size) / (0.004 + 9e-6 * size) - 1) for size in SIZES]
    errors.sort()
    assert errors[int(0.9 * len(errors))] < 0.2


def test_one_hiccup_counts_no_more_than_three_times_the_prediction() -> None:
    line = Line(0.0, 1e-6)
    line.learn(1_000_000, 1000.0)
    assert line.seconds(1_000_000) == pytest.approx(1 + STEP * LARGEST_ERROR)


def test_what_was_never_run_is_guessed_from_its_work_and_known_to_be_a_guess() -> None:
    costs = Costs(cores=2)
    assert costs.seconds(EDSR, "spread", 1_000_000) == pytest.approx(1e12 / FIRST_GUESS_MACS_PER_S, rel=0.01)
    assert costs.seconds(EDSR, "spread", 1) < costs.seconds(EDSR, "single", 1_000_000)
    assert not costs.is_fitted(EDSR)
    costs.learn(EDSR, "spread", 1_000, 1.0)
    assert costs.is_fitted(EDSR)


def test_an_ensemble_is_known_by_its_network() -> None:
    costs = Costs()
    costs.fit(EDSR, "spread", [(100, 0.2), (500, 0.6)])
    eightfold = EDSR._replace(macs_per_pixel=8 * EDSR.macs_per_pixel)
    assert costs.is_fitted(eightfold)
    assert costs.seconds(eightfold, "spread", 500) == pytest.approx(8 * 0.6)
    assert costs.seconds(EDSR._replace(precision="int8"), "spread", 500) < 0.1  # another network, a guess


def test_the_express_is_guessed_from_a_single_thread() -> None:
    costs = Costs(cores=2)
    costs.fit(EDSR, "single", [(100, 0.2), (500, 0.6)])
    assert costs.seconds(EDSR, "express", 500) == pytest.approx(1.5 * 0.6)


def test_ways_and_networks_do_not_disturb_each_other() -> None:
    costs = Costs()
    costs.fit(EDSR, "spread", [(100, 0.2), (500, 0.6)])
    costs.fit(EDSR, "single", [(100, 0.4), (500, 1.2)])
    costs.learn(EDSR, "spread", 500, 0.9)
    assert costs.seconds(EDSR, "single", 500) == pytest.approx(1.2)
    assert costs.seconds(EDSR, "spread", 500) > 0.6


def test_a_manifest_without_a_count_of_work_counts_as_a_usual_network() -> None:
    assert Network.of(oracles.manifest("nearest", scale=2)).macs_per_pixel == LEAST_MACS
    facts = oracles.manifest("edsr", scale=2, macs_per_lr_pixel=1_370_000)
    assert Network.of(facts) == Network("edsr", 2, "fp32", 1_370_000)
