"""Windows: which frames the network sees for each frame, at a clip's ends and at its cuts too.

A window is a frame with `radius` neighbours on each side. Where the shot ends before, its first or last frame is
repeated: what lies beyond a cut has nothing to do with it. A frame that is missing is left out of its neighbours'
windows, which close the gap.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

F = TypeVar("F")
E = TypeVar("E")

PATIENCE = 16  # missing frames in a row after which the shot is taken for ended, so that nothing piles up


@dataclass(frozen=True)
class Window(Generic[F]):
    """The frames around the middle one, an odd number of them."""

    frames: tuple[F, ...]

    @property
    def middle(self) -> F:
        """The frame that it is about."""
        return self.frames[len(self.frames) // 2]


class _Shot(Generic[F]):
    """Frames between two cuts; keeps those that a window may still need."""

    def __init__(self, radius: int) -> None:
        self._radius = radius
        self._frames: deque[F] = deque()
        self._first = 0  # the number in the shot of the first one kept
        self._next = 0  # of the one whose window is due

    def add(self, frame: F) -> None:
        self._frames.append(frame)

    def is_ready(self) -> bool:
        """Whether all that the next window needs is there."""
        return self._next + self._radius < self._first + len(self._frames)

    def take(self) -> Window[F]:
        """The next window, of what there is."""
        last = self._first + len(self._frames) - 1
        numbers = range(self._next - self._radius, self._next + self._radius + 1)
        frames = tuple(self._frames[min(max(number, 0), last) - self._first] for number in numbers)
        self._next += 1
        while self._first < self._next - self._radius:
            self._frames.popleft()
            self._first += 1
        return Window(frames)


async def windows(
    frames: AsyncIterator[F | E], *, radius: int, missing: type[E], begins_shot: Callable[[F], bool]
) -> AsyncGenerator[Window[F] | E, None]:
    """A window for each frame, and what is `missing` in its place, in order.

    `begins_shot` is asked once for every frame that is there.
    """
    shot: _Shot[F] = _Shot(radius)
    waiting: deque[E | None] = deque()  # as they came, None for a frame of the shot
    async for frame in frames:
        absent = frame if isinstance(frame, missing) else None
        present = None if isinstance(frame, missing) else cast(F, frame)
        if begins_shot(present) if present is not None else len(waiting) > 2 * radius + PATIENCE:
            for item in waiting:
                yield shot.take() if item is None else item
            waiting.clear()
            shot = _Shot(radius)
        if present is not None:
            shot.add(present)
        waiting.append(absent)
        while waiting and (waiting[0] is not None or shot.is_ready()):
            item = waiting.popleft()
            yield shot.take() if item is None else item
    for item in waiting:
        yield shot.take() if item is None else item
