"""Batches: tiles that go through the device together; cut from their sources, run, and stitched into their outputs."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.costs import Way
from service.errors import InternalError, OutOfMemory, ServiceError
from service.planes import Pixels, batch_of
from service.turns import TileShape, Unit
from service.work import Job

Cut = tuple[Pixels, NDArray[np.float32] | None]  # pixels [n,h,w,3] (frames: [n,D,h,w,3]), and their noise


@dataclass(eq=False)
class Batch:
    """Tiles of one shape, and how they are to be run.

    `way` is "spread" over all threads of a CPU, on a "single" one, on one more as an "express" beside large ones that
    have all cores, or a "batch" on a GPU. `together` is the most pixels that were on the device at once while it ran,
    its own included. `ends_at` is when it should have run.
    """

    shape: TileShape
    units: list[Unit[Job]]
    way: Way = "batch"
    together: int = 0
    ends_at: float = 0.0
    _cut: list[Cut] = field(default_factory=list)  # of the first units: a batch may grow after it was cut
    _answers: Pixels | None = None

    @property
    def pixels(self) -> int:
        """Halos included."""
        return len(self.units) * self.shape.pixels

    @property
    def effort(self) -> float:
        """What it counts, see TileShape."""
        return len(self.units) * self.shape.effort

    def make_ready(self) -> None:
        """Cuts the tiles now, so that it is not left to do when the device is free."""
        with suppress(Exception):  # it will be met again in run(), where somebody is told
            self._cut_rest()

    def forget_the_ended(self) -> None:
        """Drops the tiles of requests that have ended."""
        kept = [unit for unit in self.units if not unit.request.ended]
        if len(kept) < len(self.units):
            self.units = kept
            self._cut = []

    def shorten(self, count: int) -> list[Unit[Job]]:
        """Keeps the first `count` tiles; returns the others."""
        rest = self.units[count:]
        if rest:
            self.units = self.units[:count]
            self._cut = []
        return rest

    def halves(self) -> "list[Batch]":
        """Two batches, to be cut anew."""
        middle = len(self.units) // 2
        return [
            Batch(self.shape, units, self.way, self.together) for units in (self.units[:middle], self.units[middle:])
        ]

    def run(self) -> ServiceError | None:
        """Cuts and runs the tiles; returns what went wrong, for no request may end the thread that serves all."""
        try:
            self._cut_rest()
            self._answers = self.shape.session.run(*_joined(self._cut), spread=self.way in ("spread", "batch"))
        except Exception as error:  # noqa: BLE001 - it is answered, and its cause logged with the request
            return _as_service_error(error)
        return None

    def stitch(self) -> Iterator[tuple[Unit[Job], ServiceError | None]]:
        """Writes the answers into the outputs, and says of each tile what went wrong."""
        assert self._answers is not None
        for unit, answer in zip(self.units, self._answers, strict=True):
            error = None
            try:
                unit.plane.write(unit.tile, answer)
            except Exception as fault:  # noqa: BLE001 - as in run()
                error = _as_service_error(fault)
            yield unit, error

    def _cut_rest(self) -> None:
        done = sum(len(pixels) for pixels, _ in self._cut)
        if done < len(self.units):
            self._cut.append(batch_of([(unit.plane, unit.tile) for unit in self.units[done:]]))


def _joined(cuts: list[Cut]) -> Cut:
    if len(cuts) == 1:
        return cuts[0]
    noise = [part for _, part in cuts if part is not None]
    return np.concatenate([pixels for pixels, _ in cuts]), np.concatenate(noise) if noise else None


def _as_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    is_memory = isinstance(error, MemoryError)
    ours = OutOfMemory("There is not enough memory.") if is_memory else InternalError("The picture was not processed.")
    ours.__cause__ = error
    return ours
