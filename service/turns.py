"""Turns: whose tiles go next, in shares that are fair by pixels; and which of other requests go along with them.

Deficit round robin (Shreedhar and Varghese 1995) with a quantum of one pixel, its empty rounds skipped: every request
of a class earns pixels at one rate and pays for a tile with the tile's pixels, and who can pay first is next. So a
small request overtakes a large one, equal ones go round, and nobody starves, for whoever waits goes on earning. Between
the classes it is the same, at rates of 8 : 2 : 1.

A pixel counts as what the network does for it, so that a small network does not wait for a large one's pixels as if
they were its own. What has been paid stands on an account; the clock is what everybody has earned since the beginning.
Who comes new has paid as much as the clock says: time spent elsewhere earns nothing.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Literal, TypeVar

from service.costs import Network
from service.planes import Plane
from service.sessions import Runnable
from service.tiling import Tile

BATCH_SIZES = (16, 8, 4, 2, 1)  # few sizes, so that the shapes a GPU was warmed for recur

QueueClass = Literal["interactive", "frames", "jobs"]
WEIGHTS: dict[QueueClass, int] = {"interactive": 8, "frames": 2, "jobs": 1}


@dataclass(frozen=True)
class TileShape:
    """What tiles must have in common to share a batch; sessions are told apart as objects."""

    session: Runnable
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Pixels of one tile, halo included."""
        return self.height * self.width

    @cached_property
    def network(self) -> Network:
        """What runs it, as costs are kept."""
        return Network.of(self.session.manifest)

    @cached_property
    def effort(self) -> float:
        """What a tile counts: its pixels times the multiply-accumulates that the network does for one."""
        return self.pixels * self.network.macs_per_pixel


@dataclass(eq=False)
class Request:
    """A place in the line: the tiles that still wait, all of one shape."""

    shape: TileShape
    queue_class: QueueClass = "interactive"
    waiting: deque[tuple[Plane, Tile]] = field(default_factory=deque)
    paid: float = 0.0

    @property
    def due(self) -> float:
        """What the clock of its class says when it can pay for its next tile."""
        return self.paid + self.shape.effort

    def tiles_until(self, clock: float) -> tuple[float, float]:
        """How many tiles it will have paid for when the clock says that: of those that wait, and if it went on."""
        affordable = math.floor(max(clock - self.paid, 0.0) / self.shape.effort)
        return min(affordable, len(self.waiting)), affordable


R = TypeVar("R", bound=Request)


@dataclass(frozen=True, eq=False)
class Unit(Generic[R]):
    """One tile of one request's plane, on its way through the device."""

    request: R
    plane: Plane
    tile: Tile


@dataclass(frozen=True)
class Ahead(Generic[R]):
    """How many tiles of a request go before a newcomer's last.

    At least: if nobody else comes. At most: if everybody who gets done is replaced by one of their kind. Their dues are
    counted from `paid` on.
    """

    request: R
    paid: float
    least: float
    most: float


class _Line(Generic[R]):
    """The requests of one class that have tiles waiting; of equals, who was served longest ago is first."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.requests: deque[R] = deque()
        self.clock = 0.0
        self.paid = 0.0  # by the class, to the clock of all classes

    def due(self, request: R) -> float:
        """What the clock of all classes says when this class can pay for the request's next tile."""
        return self.paid + request.shape.effort / self.weight


class Turns(Generic[R]):
    """The requests that have tiles waiting, in three lines. Not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[QueueClass, _Line[R]] = {name: _Line(weight) for name, weight in WEIGHTS.items()}
        self._clock = 0.0

    def __bool__(self) -> bool:
        return any(line.requests for line in self._lines.values())

    def __iter__(self) -> Iterator[R]:
        return iter([request for line in self._lines.values() for request in line.requests])

    def join(self, request: R) -> None:
        """Takes the request in."""
        line = self._lines[request.queue_class]
        if not line.requests:
            line.paid = max(line.paid, self._clock)
        request.paid = max(request.paid, line.clock)
        line.requests.append(request)

    def leave(self, request: R) -> None:
        """Takes the request and its waiting tiles out; nothing happens if it is not in line."""
        request.waiting.clear()
        with suppress(ValueError):
            self._lines[request.queue_class].requests.remove(request)

    def first(self, fits: Callable[[TileShape], bool] | None = None) -> R | None:
        """Whose turn it is, among those whose tiles' shape `fits`; None if there is nobody."""
        return self._next(request for request in self if fits is None or fits(request.shape))

    def waiting(self, shape: TileShape | None = None) -> int:
        """How many tiles wait, all or those of one shape."""
        return sum(len(request.waiting) for request in self if shape is None or request.shape == shape)

    def take(self, first: R, *, limit: int) -> list[Unit[R]]:
        """At most `limit` tiles of one shape, beginning with one of `first`; their number is one of BATCH_SIZES.

        Those who go along with another's batch pay as well, though it is not their turn yet.
        """
        self._advance(first)
        company = [request for request in self if request.shape == first.shape]
        room = max(min(limit, sum(len(request.waiting) for request in company)), 1)
        units = []
        following: R | None = first
        for _ in range(next(size for size in BATCH_SIZES if size <= room)):
            assert following is not None
            units.append(self._serve(following))
            company = [request for request in company if request.waiting]
            following = self._next(company)
        return units

    def clock(self, queue_class: QueueClass) -> float:
        """What a newcomer of the class begins with."""
        return self._lines[queue_class].clock

    def ahead(self, queue_class: QueueClass, effort: float) -> "list[Ahead[R]]":
        """Whose tiles will go before the last of a newcomer with so much `effort` in all."""
        mine = self._lines[queue_class]
        found = [Ahead(request, request.paid, *request.tiles_until(mine.clock + effort)) for request in mine.requests]
        start = mine.paid if mine.requests else max(mine.paid, self._clock)
        least, most = (
            effort + sum(counts * each.request.shape.effort for each, counts in zip(found, extreme, strict=True))
            for extreme in ([each.least for each in found], [each.most for each in found])
        )
        for line in self._lines.values():
            if line is mine or not line.requests:
                continue
            waiting = sum(len(request.waiting) * request.shape.effort for request in line.requests)
            shares = [
                max(start + work / mine.weight - line.paid, 0.0) * line.weight / waiting for work in (least, most)
            ]
            found += [
                Ahead(request, mine.clock, min(shares[0], 1.0) * len(request.waiting), shares[1] * len(request.waiting))
                for request in line.requests
            ]
        return found

    def give_back(self, unit: Unit[R]) -> None:
        """A tile that was taken and could not be run waits again, before the others of its request, unpaid."""
        request = unit.request
        line = self._lines[request.queue_class]
        if request.waiting:
            line.requests.remove(request)
        line.requests.appendleft(request)
        request.waiting.appendleft((unit.plane, unit.tile))
        request.paid -= request.shape.effort
        line.paid -= request.shape.effort / line.weight

    def _serve(self, request: R) -> Unit[R]:
        line = self._lines[request.queue_class]
        unit = Unit(request, *request.waiting.popleft())
        request.paid += request.shape.effort
        line.paid += request.shape.effort / line.weight
        line.requests.remove(request)
        if request.waiting:
            line.requests.append(request)
        return unit

    def _advance(self, served: R) -> None:
        """Everybody has earned what who is next needs, whether or not it is the one that is `served`."""
        line = self._lines[served.queue_class]
        line.clock = max(line.clock, min(request.due for request in line.requests))
        following = self.first()
        assert following is not None
        self._clock = max(self._clock, self._lines[following.queue_class].due(following))

    def _next(self, requests: Iterable[R]) -> R | None:
        """Of each class who can pay first, and of these the one whose class can."""
        firsts: dict[QueueClass, R] = {}
        for request in requests:
            rival = firsts.get(request.queue_class)
            if rival is None or request.due < rival.due:
                firsts[request.queue_class] = request
        return min(firsts.values(), key=lambda request: self._lines[request.queue_class].due(request), default=None)
