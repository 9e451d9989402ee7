"""Costs: how long a run takes, as overhead + pixels * cost; fitted at warm-up, corrected by every run.

One line for each network, precision and way of running it, for a run on all threads, on one of several cores, or as a
batch on a GPU costs differently. Encoding and decoding have lines of their own.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from service.manifest import Manifest

FIRST_GUESS_MACS_PER_S = 1e11  # two cores of a server; corrected by the first run
LEAST_MACS = 1_000_000  # per pixel, where a manifest says 0: its writer did not count them
GUESSED_OVERHEAD_S = 0.001
STEP = 0.25  # of an error, how much the newest run corrects
EXPRESS_SLOWDOWN = 1.5  # three runs on two cores
LARGEST_ERROR = 2.0  # a run that took three times as long as predicted says no more than that

Way = Literal["spread", "single", "express", "batch"]


class Network(NamedTuple):
    """What costs the same: its float32 twin does, and its weights' precision makes a difference."""

    model: str
    scale: int
    precision: str
    macs_per_pixel: float

    @classmethod
    def of(cls, facts: Manifest) -> "Network":
        """The network of a graph; per pixel of its input."""
        return cls(facts.model, facts.scale, facts.precision, facts.macs(1_000_000) / 1e6 or LEAST_MACS)


class Line:
    """seconds = overhead + pixels * cost, both positive."""

    def __init__(self, overhead_s: float, pixel_s: float) -> None:
        self.overhead_s = overhead_s
        self.pixel_s = pixel_s

    @classmethod
    def through(cls, runs: Sequence[tuple[int, float]]) -> "Line":
        """The line through the quickest runs (pixels, seconds) of the smallest and of the largest size.

        Of one size alone, nine tenths of it are taken for the pixels'.
        """
        (few, quick), (many, slow) = (
            (size, min(seconds for pixels, seconds in runs if pixels == size))
            for size in (min(pixels for pixels, _ in runs), max(pixels for pixels, _ in runs))
        )
        pixel_s = (slow - quick) / (many - few) if slow > quick else 0.9 * slow / many
        overhead_s = slow - pixel_s * many
        return cls(max(overhead_s, 0.01 * slow), min(pixel_s, 0.99 * slow / many))

    def seconds(self, pixels: float) -> float:
        """What a run on so many pixels should take."""
        return self.overhead_s + pixels * self.pixel_s

    def learn(self, pixels: float, seconds: float) -> None:
        """A run took `seconds`. Each of the two numbers is corrected by its share in the prediction.

        So the line goes on through the sizes that occur, and keeps its slope where only one does.
        """
        predicted = self.seconds(pixels)
        error = min(seconds / predicted - 1, LARGEST_ERROR)
        share = self.overhead_s / predicted
        self.overhead_s *= 1 + STEP * error * share
        self.pixel_s *= 1 + STEP * error * (1 - share)


class Costs:
    """The lines of everything that runs here. `cores` are those that one run can take at most."""

    def __init__(self, *, cores: int = 1) -> None:
        self._lines: dict[tuple[Network, Way], Line] = {}
        self._codecs: dict[str, Line] = {}
        self._known: set[Network] = set()
        self._macs_per_s: dict[Way, float] = {
            "spread": FIRST_GUESS_MACS_PER_S,
            "single": FIRST_GUESS_MACS_PER_S / cores**0.8,
            "express": FIRST_GUESS_MACS_PER_S / cores**0.8 / EXPRESS_SLOWDOWN,
            "batch": FIRST_GUESS_MACS_PER_S,
        }

    def fit(self, network: Network, way: Way, runs: Sequence[tuple[int, float]]) -> None:
        """Begin with the line through these runs."""
        self._lines[network, way] = Line.through(runs)
        self._known.add(network)

    def is_fitted(self, network: Network) -> bool:
        """Whether predictions for it are more than a guess."""
        return any(_are_siblings(network, known) for known in self._known)

    def seconds(self, network: Network, way: Way, pixels: float) -> float:
        """What a run should take."""
        return self._line(network, way).seconds(pixels)

    def learn(self, network: Network, way: Way, pixels: float, seconds: float) -> None:
        """A run took `seconds`."""
        if pixels > 0 and seconds > 0:
            self._line(network, way).learn(pixels, seconds)
            self._known.add(network)

    def codec(self, name: str, *, pixel_s: float) -> Line:
        """The line of a codec's step; `pixel_s` is the first guess."""
        return self._codecs.setdefault(name, Line(GUESSED_OVERHEAD_S, pixel_s))

    def _line(self, network: Network, way: Way) -> Line:
        line = self._lines.get((network, way))
        if line is None:
            line = self._lines[network, way] = self._guess(network, way)
        return line

    def _guess(self, network: Network, way: Way) -> Line:
        """From a network of the same name that was fitted, such as the one that an ensemble runs; or from the work."""
        if way == "express" and (network, "single") in self._lines:
            return _scaled(self._lines[network, "single"], EXPRESS_SLOWDOWN)
        for (other, other_way), line in self._lines.items():
            if other_way == way and _are_siblings(other, network):
                return _scaled(line, network.macs_per_pixel / other.macs_per_pixel)
        return Line(GUESSED_OVERHEAD_S, network.macs_per_pixel / self._macs_per_s[way])


def _are_siblings(one: Network, other: Network) -> bool:
    return one._replace(macs_per_pixel=0) == other._replace(macs_per_pixel=0)


def _scaled(line: Line, times: float) -> Line:
    return Line(times * line.overhead_s, times * line.pixel_s)
