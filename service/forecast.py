"""Forecast: how long a work will take beside those that are there, between two futures that can be computed.

Either nobody comes any more, and the others get done one after the other; or everyone who gets done is replaced, and
all of them stay. The truth lies between, and each work that is done says where: `replaced`, from 0 to 1, is learned;
for works of each size, for who else comes in the meantime depends on how long one is there.
"""

import math
from dataclasses import dataclass

STEP = 0.2  # of what was wrong about the newest forecast, how much corrects `replaced`
FIRST_GUESS = 0.5


@dataclass(frozen=True)
class Forecast:
    """Seconds until a work is done: `alone_s` if there were no others, and between `least_s` and `most_s` with them.

    `size` is the kind that it is of: works that count the same within a factor of two.
    """

    alone_s: float
    least_s: float
    most_s: float
    replaced: float
    size: int

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
        self._replaced: dict[int, float] = {}

    def between(self, least_s: float, most_s: float, *, alone_s: float, effort: float) -> Forecast:
        """Of a work that takes so long in the two futures, and counts `effort` in turns."""
        size, least_s = int(math.log2(effort)), max(least_s, alone_s)
        return Forecast(alone_s, least_s, max(most_s, least_s), self._replaced.get(size, FIRST_GUESS), size)

    def learn(self, forecast: Forecast, seconds: float) -> None:
        """The work took `seconds`. The further the two futures lie apart, the more it says.

        A measurement counts as far beyond either of them as they lie apart, no further; so noise around one of them
        leaves the mean there.
        """
        span_s = forecast.most_s - forecast.least_s
        if span_s > 0:
            replaced = self._replaced.get(forecast.size, FIRST_GUESS)
            truth = min(max((seconds - forecast.least_s) / span_s, -1.0), 2.0)
            step = STEP * span_s / forecast.most_s
            self._replaced[forecast.size] = min(max(replaced + step * (truth - replaced), 0.0), 1.0)
