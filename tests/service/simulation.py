"""The scheduler's own parts in simulated time: turns, cores, costs and outlook as they are; runs take what is said.

So the policy and the forecasts are tested without the noise of a machine, and in seconds instead of minutes.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.batches import Batch
from service.cores import Cores
from service.costs import Costs, Network, Way
from service.forecast import Forecast
from service.outlook import Outlook
from service.planes import Plane
from service.sessions import Session
from service.tiling import plan_tiles
from service.turns import Turns
from service.work import Job, Work

MAX_TILE = 512
CORES = 2
OVERHEAD_S, PIXEL_S = 0.003, 1e-6  # of a run on one core
WAYS: dict[Way, float] = {"spread": 1 / 1.75, "single": 1.0, "express": 1.5}
REACTION_S = 0.001  # of a client that asks again at once


@dataclass(frozen=True)
class Done:
    """One work that was done: its picture's side, its forecast when it came, and what it took."""

    side: int
    forecast: Forecast
    taken_s: float

    @property
    def ratio(self) -> float:
        """Predicted over taken seconds."""
        return self.forecast.total_s / self.taken_s


class Simulation:
    """Two cores from time 0 on. `noise` is the standard deviation of the logarithm of what a run takes."""

    def __init__(self, session: Session, *, noise: float = 0.0, seed: int = 1) -> None:
        self.now = 0.0
        self.done: list[Done] = []
        self.begun: dict[int, int] = defaultdict(int)  # pixels by the picture's side
        self._session = session
        self._noise = noise
        self._chance = random.Random(seed)
        self._truth, self._costs = (_costs(Network.of(session.manifest)) for _ in range(2))
        self._cores = Cores(CORES)
        self._turns: Turns[Job] = Turns()
        self._outlook = Outlook(self._cores, self._costs)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._running: dict[Batch, tuple[float, float]] = {}  # began, ends
        self._senders: dict[Job, tuple[int, Callable[[], None]]] = {}

    def client(self, side: int, *, pause_s: float = 0.0) -> None:
        """Somebody who asks for pictures of `side` x `side`, again when one is done, after `pause_s` in the mean."""

        def ask() -> None:
            self.submit(side, side, then=again)

        def again() -> None:
            pause = self._chance.expovariate(1 / pause_s) if pause_s else REACTION_S
            self._at(self.now + pause, ask)

        self._at(self._chance.random() * (pause_s or 0.1), ask)

    def submit(self, height: int, width: int, *, then: Callable[[], None] = lambda: None) -> None:
        """A picture comes now; `then` is what its sender does when it is done."""
        plan = plan_tiles(height, width, halo=0, max_tile=MAX_TILE)
        work = Work(self._session, plan, [_Weightless(height, width)], "r")
        forecast = self._outlook.forecast(work.demand, self._turns, now=self.now)
        job = Job(replace(work, forecast=forecast), now=self.now)
        self._senders[job] = (height, then)
        self._turns.join(job)
        self._take()

    def run(self, *, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            self._take()
        self.now = until

    def _at(self, time: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def _take(self) -> None:
        while (batch := self._cores.take(self._turns)) is not None:
            network = batch.shape.network
            for unit in batch.units:
                self.begun[self._senders[unit.request][0]] += batch.shape.pixels
            batch.ends_at = self.now + self._costs.seconds(network, batch.way, batch.pixels)
            seconds = self._truth.seconds(network, batch.way, batch.pixels)
            seconds *= self._chance.lognormvariate(0, self._noise) if self._noise else 1.0
            if batch.way == "express":  # three runs on two cores: the others lose what it gets
                for other, (began, ends) in self._running.items():
                    self._running[other] = (began, ends + seconds / (CORES + 1))
            self._running[batch] = (self.now, self.now + seconds)
            self._end_at(batch)

    def _end_at(self, batch: Batch) -> None:
        self._at(self._running[batch][1], lambda: self._end(batch))

    def _end(self, batch: Batch) -> None:
        began, ends = self._running[batch]
        if ends > self.now:  # it has been delayed meanwhile
            self._end_at(batch)
            return
        del self._running[batch]
        self._cores.end(batch)
        self._costs.learn(batch.shape.network, batch.way, batch.pixels, self.now - began)
        for unit in batch.units:
            job = unit.request
            job.unfinished -= 1
            if job.unfinished == 0:
                side, then = self._senders.pop(job)
                assert job.forecast is not None
                self.done.append(Done(side, job.forecast, self.now - job.submitted_at))
                self._outlook.learn(job.forecast, self.now - job.submitted_at)
                then()


class _Weightless(Plane):
    """A plane of any size, for nobody reads or writes it."""

    def __init__(self, height: int, width: int) -> None:
        self.source = np.broadcast_to(np.uint8(0), (height, width, 3))

    def fits(self, facts: object) -> bool:
        return True


def _costs(network: Network) -> Costs:
    costs = Costs(cores=CORES)
    for way, times in WAYS.items():
        costs.fit(network, way, [(pixels, times * (OVERHEAD_S + PIXEL_S * pixels)) for pixels in (1000, 100_000)])
    return costs
