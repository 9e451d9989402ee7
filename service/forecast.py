"""Forecast: how long a work will take, from the work that is there and the turns that it will take.

In fair turns (service/turns.py) a work waits for every other one of its class only as long as that one has had as much
as itself, and for other classes by their weights. Of two extremes one knows both: either nobody comes any more, and
the others get done one after the other; or everyone who gets done is replaced, and all of them stay. The truth lies
between them, and each work that is done says where: `replaced`, from 0 to 1, is learned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.turns import WEIGHTS, QueueClass

STEP = 0.2  # of what was wrong about the newest forecast, how much corrects `replaced`


@dataclass(frozen=True)
class Load:
    """What is left of a work: its tiles, what one of them counts in turns, and the seconds of one on one core."""

    queue_class: QueueClass
    tiles: int
    tile_effort: float
    tile_s: float

    @property
    def effort(self) -> float:
        """In turns."""
        return self.tiles * self.tile_effort

    @property
    def seconds(self) -> float:
        """On one core, or on the GPU."""
        return self.tiles * self.tile_s


@dataclass(frozen=True)
class Forecast:
    """Seconds until a work is done: `alone_s` if there were no others, and between `least_s` and `most_s` with them."""

    alone_s: float
    least_s: float
    most_s: float
    replaced: float

    @property
    def total_s(self) -> float:
        """The best guess."""
        return self.least_s + self.replaced * (self.most_s - self.least_s)

    @property
    def queue_s(self) -> float:
        """Of it, what is due to others."""
        return self.total_s - self.alone_s


class Forecaster:
    """Makes forecasts and learns from what came of them."""

    def __init__(self) -> None:
        self._replaced = 0.5

    def alone(self, seconds: float) -> Forecast:
        """Of a work that meets nobody."""
        return Forecast(seconds, seconds, seconds, self._replaced)

    def forecast(
        self, work: Load, others: Sequence[Load], *, lanes: int, alone_s: float, busy_s: float, last_s: float
    ) -> Forecast:
        """Of `work`, which takes `alone_s` by itself, beside `others` that wait; `lanes` tiles run at once.

        `busy_s` is how long it is until a lane is free for it, and `last_s` what its last tile takes.
        """
        least_s, most_s = (
            max(busy_s + (work.seconds - work.tile_s + _ahead_s(work, others, stay=stay)) / lanes + last_s, alone_s)
            for stay in (False, True)
        )
        return Forecast(alone_s, least_s, most_s, self._replaced)

    def learn(self, forecast: Forecast, seconds: float) -> None:
        """The work took `seconds`."""
        span_s = forecast.most_s - forecast.least_s
        if span_s > 0.05 * forecast.total_s:  # else the two extremes are one, and it says nothing
            truth = min(max((seconds - forecast.least_s) / span_s, 0.0), 1.0)
            self._replaced += STEP * (truth - self._replaced)


def backlog_s(loads: Iterable[Load], *, lanes: int, busy_s: float = 0.0) -> float:
    """Seconds until all of it is done, if nothing comes any more."""
    return busy_s + sum(load.seconds for load in loads) / lanes


def _ahead_s(work: Load, others: Sequence[Load], *, stay: bool) -> float:
    """Seconds of others' tiles that will run before the last one of `work`. `stay`: each goes on as long as `work`."""
    mine = work.effort
    peers_s = peers = 0.0
    for other in others:
        if other.queue_class == work.queue_class:
            share = mine if stay else min(other.effort, mine)
            peers += share
            peers_s += share * other.tile_s / other.tile_effort
    ahead_s = peers_s
    for name in WEIGHTS:
        rivals = [other for other in others if other.queue_class == name]
        if name == work.queue_class or not rivals:
            continue
        due = (mine + peers) * WEIGHTS[name] / WEIGHTS[work.queue_class]
        total = sum(rival.effort for rival in rivals)
        part = due / total if stay else min(due / total, 1.0)
        ahead_s += part * sum(rival.seconds for rival in rivals)
    return ahead_s
