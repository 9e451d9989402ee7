"""Progress: how far a running job is, and when it should be done. Steps may be counted from any thread."""

import threading
import time
from collections.abc import Callable

from service.jobs.record import Steps

MAX_MARKS = 256


class Progress:
    """Counts the steps of one job, on from `steps`.

    The time of the rest is foretold by the speed of the later half of this run: long enough to be steady, and what
    slowed down or sped up some time ago is forgotten. `clock` is in seconds and only goes forward.
    """

    def __init__(self, steps: Steps, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = steps.unit
        self._done = steps.done
        self._total = steps.total
        self._clock = clock
        self._lock = threading.Lock()
        self._marks: list[tuple[float, int]] = [(clock(), steps.done)]

    def expect(self, total: int, *, done: int = 0) -> None:
        """There are `total` steps, and `done` of them need not be repeated; the clock starts."""
        with self._lock:
            self._total, self._done = total, done
            self._marks = [(self._clock(), done)]

    def advance(self, steps: int = 1) -> None:
        """That many more are done."""
        with self._lock:
            self._done += steps
            self._marks.append((self._clock(), self._done))
            if len(self._marks) > MAX_MARKS:
                del self._marks[1:-1:2]

    def steps(self) -> Steps:
        """How far it is, and how long the rest should take."""
        with self._lock:
            return Steps(self._unit, self._done, self._total, self._eta_s())

    def _eta_s(self) -> float | None:
        began, last = self._marks[0][0], self._marks[-1][0]
        half_way = began + (last - began) / 2
        since, before = max((mark for mark in self._marks if mark[0] <= half_way), default=self._marks[0])
        if self._total is None or self._done <= before or last <= since:
            return None
        step_s = (last - since) / (self._done - before)
        # The step under way is as old as the last mark, but says nothing of how long the others will take.
        return max(0.0, (self._total - self._done) * step_s - min(self._clock() - last, step_s))
