"""Forecasts are held to a simulation of the very turns that the scheduler takes, in its own time."""

import heapq

import numpy as np
import pytest

from service.forecast import Forecaster, Load, backlog_s
from service.planes import Plane
from service.sessions import Runnable
from service.tiling import plan_tiles
from service.turns import QueueClass, Request, TileShape, Turns
from tests.service.scheduling import Sessions

PIXEL_S = 1e-3


@pytest.fixture(scope="module")
def session(sessions: Sessions) -> Runnable:
    return sessions["nearest"]


class Item(Request):
    """`tiles` tiles of `height` x 2 pixels."""

    def __init__(self, session: Runnable, tiles: int, height: int, queue_class: QueueClass = "interactive") -> None:
        super().__init__(TileShape(session, height, 2), queue_class)
        self.size = (tiles, height)
        plane = Plane(np.zeros((tiles * height, 2), np.uint8), 2)
        self.waiting.extend(
            (plane, tile) for tile in plan_tiles(tiles * height, 2, halo=0, max_tile=height, step=1).tiles
        )

    @property
    def load(self) -> Load:
        seconds = self.shape.pixels * PIXEL_S
        return Load(self.queue_class, len(self.waiting), self.shape.effort, seconds)


def simulated_s(mine: Item, others: list[Item], *, lanes: int, replaced: bool) -> float:
    """When `mine`, who comes last, is done."""
    turns: Turns[Item] = Turns()
    for item in [*others, mine]:
        turns.join(item)
    now, last_end = 0.0, 0.0
    busy: list[float] = []
    while mine.waiting:
        if len(busy) == lanes:
            now = heapq.heappop(busy)
        first = turns.first()
        assert first is not None
        (unit,) = turns.take(first, limit=1)
        end = now + first.shape.pixels * PIXEL_S
        heapq.heappush(busy, end)
        if unit.request is mine:
            last_end = end
        elif replaced and not first.waiting:
            turns.join(Item(first.shape.session, *first.size, first.queue_class))
    return last_end


MIXES: dict[str, tuple[tuple[int, int], list[tuple[int, int, QueueClass]]]] = {
    "a small one beside large ones": ((1, 2), [(50, 40, "interactive")] * 5),
    "a large one beside small ones": ((20, 10), [(1, 4, "interactive")] * 12),
    "one among equals": ((6, 10), [(6, 10, "interactive")] * 9),
    "many sizes": ((8, 12), [(n, h, "interactive") for n in (1, 3, 9, 30) for h in (2, 8, 20)]),
    "beside a job": ((10, 8), [(200, 8, "jobs")]),
    "a job beside people": ((4, 8), [(40, 8, "interactive"), (5, 8, "interactive")]),
    "frames beside both": ((10, 8), [(100, 8, "interactive"), (100, 8, "jobs"), (2, 8, "frames")]),
}


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("replaced", [False, True], ids=["nobody-comes", "all-are-replaced"])
def test_a_forecast_is_within_a_tenth_and_a_tile_of_each_of_the_others(
    session: Runnable, mix: str, lanes: int, replaced: bool
) -> None:
    (tiles, height), rivals = MIXES[mix]
    kinds: dict[str, QueueClass] = {"a job beside people": "jobs", "frames beside both": "frames"}
    mine = Item(session, tiles, height, kinds.get(mix, "interactive"))
    others = [Item(session, *rival) for rival in rivals]
    forecast = Forecaster().forecast(
        mine.load,
        [other.load for other in others],
        lanes=lanes,
        alone_s=mine.load.seconds / lanes,
        busy_s=0.0,
        last_s=mine.load.tile_s,
    )
    predicted_s = forecast.most_s if replaced else forecast.least_s
    slack_s = (mine.load.tile_s + sum(other.load.tile_s for other in others)) / lanes
    simulated = simulated_s(mine, others, lanes=lanes, replaced=replaced)
    assert abs(predicted_s - simulated) <= 0.1 * simulated + slack_s
    assert forecast.least_s <= forecast.total_s <= forecast.most_s


def test_nothing_else_there_a_work_takes_what_it_takes_alone() -> None:
    forecast = Forecaster().alone(3.0)
    assert (forecast.total_s, forecast.queue_s) == (3.0, 0.0)


def test_how_many_are_replaced_is_learned() -> None:
    def forecast(forecaster: Forecaster) -> float:
        return forecaster.forecast(large, [small] * 9, lanes=1, alone_s=10.0, busy_s=0.0, last_s=1.0).total_s

    large, small = Load("interactive", 10, 8.0, 1.0), Load("interactive", 1, 8.0, 1.0)
    steady, draining = Forecaster(), Forecaster()
    for _ in range(40):
        for forecaster, truth_s in ((steady, 100.0), (draining, 19.0)):
            made = forecaster.forecast(large, [small] * 9, lanes=1, alone_s=10.0, busy_s=0.0, last_s=1.0)
            forecaster.learn(made, truth_s)
    assert forecast(steady) == pytest.approx(100.0, rel=0.01)
    assert forecast(draining) == pytest.approx(19.0, rel=0.01)


def test_a_wild_measurement_does_not_leave_the_two_extremes() -> None:
    large, small = Load("interactive", 10, 8.0, 1.0), Load("interactive", 1, 8.0, 1.0)
    forecaster = Forecaster()
    for _ in range(40):
        made = forecaster.forecast(large, [small] * 9, lanes=1, alone_s=10.0, busy_s=0.0, last_s=1.0)
        forecaster.learn(made, 1e6)
    assert made.least_s <= made.total_s <= made.most_s


def test_the_backlog_is_all_that_waits_over_all_lanes() -> None:
    loads = [Load("interactive", 10, 8.0, 1.0), Load("jobs", 4, 8.0, 0.5)]
    assert backlog_s(loads, lanes=2, busy_s=0.25) == 6.25
