"""Rehearsal: when a work will have been run, from playing the turns of all tiles before its last, express included.

Of many tiles the mean is near enough, and playing would take too long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MANY_TILES = 64


@dataclass(frozen=True)
class ExpectedTiles:
    """`count` tiles of one work that wait: what it has paid in turns, what each counts there, and what each takes."""

    count: int
    paid: float
    effort: float
    lane_s: float
    express_s: float

    def played(self) -> "list[_Tile]":
        """One by one, each with when it is due in turns."""
        return [
            _Tile(self.paid + turn * self.effort, self.effort, self.lane_s, self.express_s)
            for turn in range(1, self.count + 1)
        ]


class _Tile(NamedTuple):
    due: float
    effort: float
    lane_s: float
    express_s: float


@dataclass
class Stage:
    """The device as it is: for each lane when it is free and what its tile counts; and when the express is back.

    A tile goes by the express if it counts at least `express_ratio` times less than each that has a lane.
    """

    lanes: list[tuple[float, float]]  # seconds, effort
    express_s: float | None
    express_ratio: float

    def seconds_until_done(self, own: ExpectedTiles, others: Sequence[ExpectedTiles]) -> float:
        """Seconds until the last of `own` has been run, after `others`, which are due before it."""
        if own.count + sum(tiles.count for tiles in others) > MANY_TILES:
            before_s = sum(tiles.count * tiles.lane_s for tiles in [own, *others]) - own.lane_s
            return (sum(seconds for seconds, _ in self.lanes) + before_s) / len(self.lanes) + own.lane_s
        *mine, last = own.played()
        before = mine + [tile for tiles in others for tile in tiles.played()]
        waiting = sorted(before, key=lambda tile: tile.due)  # of equals, who was first in line
        return self._play([*waiting, last])

    def _play(self, waiting: list[_Tile]) -> float:
        """When the last of those in line has been run; changes lanes and express."""
        last = waiting[-1]
        while True:
            free_s, _ = first = min(self.lanes)
            tile = self._by_express(waiting, before_s=free_s)
            if tile is not None:
                done_s = self._run_by_express(tile)
            else:
                tile = waiting[0]
                done_s = free_s + tile.lane_s
                if self.express_s is not None:
                    self.express_s = max(self.express_s, free_s)  # it could not have begun before this was decided
                self.lanes[self.lanes.index(first)] = (done_s, tile.effort)
            if tile is last:
                return done_s
            waiting.remove(tile)

    def _by_express(self, waiting: Sequence[_Tile], *, before_s: float) -> _Tile | None:
        """The first small tile, if the express is back before a lane is free."""
        if self.express_s is None or self.express_s >= before_s:
            return None
        largest = min(effort for _, effort in self.lanes) / self.express_ratio
        return next((tile for tile in waiting if tile.effort <= largest), None)

    def _run_by_express(self, tile: _Tile) -> float:
        """The lanes lose what the express gets."""
        assert self.express_s is not None
        self.express_s += tile.express_s
        lost_s = tile.express_s / (len(self.lanes) + 1)
        self.lanes = [(seconds + lost_s, effort) for seconds, effort in self.lanes]
        return self.express_s
