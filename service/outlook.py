"""Outlook: what is to be expected of the device, from what waits and runs there and from what runs have cost so far."""

from collections.abc import Iterable
from functools import partial

from service.costs import Costs
from service.forecast import Forecast, Forecaster, Load, backlog_s
from service.slots import Seconds, Slots
from service.work import Demand, Job

DOUBT = 1.5  # a work is given up as hopeless only if it were so at so many times the predicted speed


class Outlook:
    """Answers from the jobs that wait; used under the scheduler's lock."""

    def __init__(self, slots: Slots, costs: Costs) -> None:
        self._slots = slots
        self._costs = costs
        self._forecaster = Forecaster()

    def forecast(self, demand: Demand, jobs: Iterable[Job], *, now: float) -> Forecast:
        """When a work that comes now will be done."""
        alone_s = self._alone_s(demand)
        work, others = self._load(demand), [self._load(job.demand) for job in jobs]
        busy_s, way = self._slots.entry(work.tile_effort, now=now)
        if way == "spread" and not others:
            return self._forecaster.alone(alone_s)
        last_s = work.tile_s if demand.tiles > 1 or way == "spread" else self._seconds(demand)(way, demand.tile_pixels)
        return self._forecaster.forecast(
            work, others, lanes=self._slots.lanes, alone_s=alone_s, busy_s=busy_s, last_s=last_s
        )

    def learn(self, forecast: Forecast, seconds: float) -> None:
        """A work of which that was the forecast took so long."""
        self._forecaster.learn(forecast, seconds)

    def backlog_s(self, jobs: Iterable[Job], *, now: float) -> float:
        """Seconds until all of them are done, if nothing comes any more."""
        busy_s, _ = self._slots.entry(float("inf"), now=now)
        return backlog_s((self._load(job.demand) for job in jobs), lanes=self._slots.lanes, busy_s=busy_s)

    def is_hopeless(self, job: Job, *, now: float) -> bool:
        """Whether it cannot meet its deadline, even if it had the device for itself."""
        if job.deadline is None or not self._costs.is_fitted(job.shape.network):
            return False
        return now + self._alone_s(job.demand) / DOUBT > job.deadline

    def _load(self, demand: Demand) -> Load:
        return Load(
            demand.queue_class,
            demand.tiles,
            tile_effort=demand.tile_pixels * demand.network.macs_per_pixel,
            tile_s=self._slots.lane_s(demand.tile_pixels, self._seconds(demand)),
        )

    def _alone_s(self, demand: Demand) -> float:
        return self._slots.alone_s(demand.tiles, demand.tile_pixels, self._seconds(demand))

    def _seconds(self, demand: Demand) -> Seconds:
        return partial(self._costs.seconds, demand.network)
