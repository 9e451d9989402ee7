"""Estimates: what an order will take, in seconds and bytes, and whether there is time for it; from the header alone.

The network's share comes from the scheduler's forecast, those of the codecs from lines of their own, corrected by every
picture. What could never be in time is refused as that, what the others are in the way of as overload.
"""

from dataclasses import dataclass

from service.costs import Costs, Line, Network
from service.deadlines import Deadline
from service.errors import Overloaded, TooLargeForSync
from service.forecast import Forecast
from service.orders import Order
from service.planes import plan_for
from service.scheduler import Scheduler
from service.turns import QueueClass
from service.work import Demand

HANDOVER_STEP = 0.1  # how much the newest picture corrects
LEAST_HANDOVER_S = 0.001

# Nanoseconds a pixel, first guesses; corrected by the first pictures.
DECODE_NS = {"png": 20, "jpeg": 10, "webp": 20, "avif": 60, "tiff": 10, "bmp": 5}
ENCODE_NS = {"png": 60, "jpeg": 15, "webp": 200, "avif": 500, "tiff": 15}


@dataclass(frozen=True)
class Estimate:
    """What one picture will take, from now on. `is_measured`: its network has been run here, so this is no guess.

    `handover_s` is what passes between the steps: a loaded service's event loop comes to each of them a little late.
    """

    demand: Demand
    decode_s: float
    forecast: Forecast
    encode_s: float
    handover_s: float
    peak_bytes: int
    is_measured: bool

    @property
    def alone_s(self) -> float:
        """If there were nobody else."""
        return self.decode_s + self.forecast.alone_s + self.encode_s + self.handover_s

    @property
    def total_s(self) -> float:
        """With those who are there."""
        return self.decode_s + self.forecast.total_s + self.encode_s + self.handover_s


class Estimator:
    """Makes estimates and refuses by them. `max_queue_s` is how long a request may be going to wait for others."""

    def __init__(self, scheduler: Scheduler, costs: Costs, *, max_tile: int, max_queue_s: float) -> None:
        self._scheduler = scheduler
        self._costs = costs
        self._max_tile = max_tile
        self._max_queue_s = max_queue_s
        self._handover_s = 0.0

    def estimate(self, order: Order, *, body_bytes: int, queue_class: QueueClass = "interactive") -> Estimate:
        """Of an order whose file has so many bytes."""
        demand = self._demand(order, queue_class)
        return Estimate(
            demand,
            decode_s=self._decoding(order).seconds(order.header.pixels),
            forecast=self._scheduler.forecast(demand),
            encode_s=self._encoding(order).seconds(order.target.height * order.target.width),
            handover_s=self._handover_s,
            peak_bytes=order.peak_bytes(body_bytes=body_bytes),
            is_measured=self._costs.is_fitted(demand.network),
        )

    def check(self, estimate: Estimate, deadline: Deadline | None) -> None:
        """Whether there is time for it. A guess refuses nobody, and who has no deadline does not mind waiting.

        Raises TooLargeForSync, or Overloaded with the time after which it should be quick enough.
        """
        if deadline is None or not estimate.is_measured:
            return
        left_s = deadline.left_s()
        if estimate.alone_s > left_s:
            raise TooLargeForSync(
                f"The answer would take about {estimate.alone_s:.1f} s, and the deadline is {deadline.seconds:g} s. "
                f"Hand the picture in at /jobs, which has none.",
                members={"limit": deadline.seconds, "actual": round(estimate.alone_s, 3), "endpoint": "/jobs"},
                headers={"Link": '</jobs>; rel="related"'},
            )
        allowed_s = min(left_s - estimate.alone_s, self._max_queue_s)
        queue_s = estimate.forecast.queue_s
        if queue_s > allowed_s:
            raise Overloaded(
                f"The service is full: the picture would wait about {queue_s:.1f} s for others, and {allowed_s:.1f} s "
                f"are allowed. Come back later.",
                members={"limit": round(allowed_s, 3), "actual": round(queue_s, 3)},
                retry_after_s=queue_s - allowed_s,
            )

    def decoded(self, order: Order, seconds: float) -> None:
        """What decoding its picture has taken."""
        self._decoding(order).learn(order.header.pixels, seconds)

    def encoded(self, order: Order, seconds: float) -> None:
        """What encoding its answer has taken."""
        self._encoding(order).learn(order.target.height * order.target.width, seconds)

    def handed_over(self, seconds: float) -> None:
        """What has passed between one picture's steps. A hiccup counts as twice the usual and a little, no more."""
        most_s = 2 * self._handover_s + LEAST_HANDOVER_S
        self._handover_s += HANDOVER_STEP * (min(max(seconds, 0.0), most_s) - self._handover_s)

    def _demand(self, order: Order, queue_class: QueueClass) -> Demand:
        facts, header = order.manifest, order.header
        exact = order.params.tiling == "exact"
        plan = plan_for(facts, header.height, header.width, exact=exact, max_tile=self._max_tile)
        network = Network.of(facts)
        work = order.graph.macs(1_000_000, ensemble=order.params.ensemble) / 1e6
        planes = 2 if header.has_alpha and facts.direction == "up" else 1
        return Demand(
            network._replace(macs_per_pixel=work or network.macs_per_pixel),
            planes * len(plan.tiles),
            plan.tile_height * plan.tile_width,
            queue_class,
        )

    def _decoding(self, order: Order) -> Line:
        name = order.header.format
        return self._costs.codec(f"decode {name} {order.header.bits}", pixel_s=DECODE_NS.get(name, 20) * 1e-9)

    def _encoding(self, order: Order) -> Line:
        options = order.options
        name = f"encode {options.format} {options.quality} {options.compression} {order.header.bits}"
        return self._costs.codec(name, pixel_s=ENCODE_NS[options.format] * 1e-9)
