"""Outlook: what is to be expected of the device, from what waits and runs there and from what runs have cost so far."""

from collections.abc import Iterable
from functools import partial

from service.costs import Costs, Network
from service.forecast import Forecast, Forecaster
from service.rehearsal import ExpectedTiles
from service.slots import Seconds, Slots
from service.turns import Turns
from service.work import Demand, Job

DOUBT = 1.5  # a work is given up as hopeless only if it were so at so many times the predicted speed


class Outlook:
    """Answers from the jobs that wait; used under the scheduler's lock."""

    def __init__(self, slots: Slots, costs: Costs) -> None:
        self._slots = slots
        self._costs = costs
        self._forecaster = Forecaster()

    def forecast(self, demand: Demand, turns: Turns[Job], *, now: float) -> Forecast:
        """When a work that comes now will be done."""
        alone_s = self._slots.alone_s(demand.tiles, demand.tile_pixels, self._seconds(demand.network))
        if not turns and self._slots.is_idle:
            return self._forecaster.between(alone_s, alone_s, alone_s=alone_s, effort=demand.effort)
        ahead = turns.ahead(demand.queue_class, demand.effort)
        own = self._tiles(demand.network, demand.tile_pixels, demand.tiles, paid=turns.clock(demand.queue_class))
        least_s, most_s = (
            self._slots.stage(now=now).seconds_until_done(
                own,
                [self._tiles(shape.network, shape.pixels, count, paid=paid) for shape, paid, count in before if count],
            )
            for before in (
                [(each.request.shape, each.paid, round(each.least)) for each in ahead],
                [(each.request.shape, each.paid, round(each.most)) for each in ahead],
            )
        )
        return self._forecaster.between(least_s, most_s, alone_s=alone_s, effort=demand.effort)

    def _tiles(self, network: Network, pixels: int, count: int, *, paid: float) -> ExpectedTiles:
        """So many tiles of a work that has paid so much."""
        seconds = self._seconds(network)
        lane_s, express_s = self._slots.lane_s(pixels, seconds), seconds("express", pixels)
        return ExpectedTiles(count, paid, pixels * network.macs_per_pixel, lane_s, express_s)

    def learn(self, forecast: Forecast, seconds: float) -> None:
        """A work of which that was the forecast took so long."""
        self._forecaster.learn(forecast, seconds)

    def backlog_s(self, jobs: Iterable[Job], *, now: float) -> float:
        """Seconds until all of them are done, if nothing comes any more."""
        tiles = [
            (len(job.waiting), self._slots.lane_s(job.shape.pixels, self._seconds(job.shape.network))) for job in jobs
        ]
        busy_s = sum(seconds for seconds, _ in self._slots.stage(now=now).lanes)
        return (busy_s + sum(count * seconds for count, seconds in tiles)) / self._slots.lanes

    def is_hopeless(self, job: Job, *, now: float) -> bool:
        """Whether it cannot meet its deadline, even if it had the device for itself."""
        network = job.shape.network
        if job.deadline is None or not self._costs.is_fitted(network):
            return False
        alone_s = self._slots.alone_s(len(job.waiting), job.shape.pixels, self._seconds(network))
        return now + alone_s / DOUBT > job.deadline

    def _seconds(self, network: Network) -> Seconds:
        return partial(self._costs.seconds, network)
