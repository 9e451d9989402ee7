"""Turns: whose tiles go next, and which of other requests go along with them.

Requests stand in a line. A batch is for the first in line, and takes one tile after the other from every request whose
tiles have the same shape for the same session; whoever was served goes to the end. So a request of one tile waits for
at most one batch of each request before it, however many tiles those have.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from service.planes import Plane
from service.sessions import Session
from service.tiling import Tile

BATCH_SIZES = (16, 8, 4, 2, 1)  # few sizes, so that the shapes a GPU was warmed for recur


@dataclass(frozen=True)
class TileShape:
    """What tiles must have in common to share a batch; sessions are told apart as objects."""

    session: Session
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """LR pixels of one tile, halo included."""
        return self.height * self.width


@dataclass(eq=False)
class Request:
    """A place in the line: the tiles that still wait, all of one shape."""

    shape: TileShape
    waiting: deque[tuple[Plane, Tile]] = field(default_factory=deque)


R = TypeVar("R", bound=Request)


@dataclass(frozen=True, eq=False)
class Unit(Generic[R]):
    """One tile of one request's plane, on its way through the device."""

    request: R
    plane: Plane
    tile: Tile


class Turns(Generic[R]):
    """The line of requests that have tiles waiting. Not thread-safe."""

    def __init__(self) -> None:
        self._line: deque[R] = deque()

    def __bool__(self) -> bool:
        return bool(self._line)

    def __iter__(self) -> Iterator[R]:
        return iter(tuple(self._line))

    @property
    def first(self) -> R:
        """Whose turn it is. There must be one."""
        return self._line[0]

    def join(self, request: R) -> None:
        """Puts the request at the end of the line."""
        self._line.append(request)

    def leave(self, request: R) -> None:
        """Takes the request and its waiting tiles out of the line; nothing happens if it is not in it."""
        request.waiting.clear()
        with suppress(ValueError):
            self._line.remove(request)

    def available(self) -> int:
        """How many tiles could go in the next batch if it were unlimited."""
        return sum(len(request.waiting) for request in self._company())

    def take(self, *, limit: int) -> list[Unit[R]]:
        """The next batch: at most `limit` tiles, their number one of BATCH_SIZES."""
        company = deque(self._company())
        room = max(min(limit, self.available()), 1)
        units: list[Unit[R]] = []
        served: dict[R, None] = {}
        for _ in range(next(size for size in BATCH_SIZES if size <= room)):
            request = company.popleft()
            units.append(Unit(request, *request.waiting.popleft()))
            served.pop(request, None)
            served[request] = None  # in the order of when each was served last
            if request.waiting:
                company.append(request)
        for request in served:
            self._line.remove(request)
        self._line.extend(request for request in served if request.waiting)
        return units

    def _company(self) -> list[R]:
        return [request for request in self._line if request.shape == self.first.shape]
