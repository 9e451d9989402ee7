"""Windows: ends and cuts repeat a shot's first and last frame, missing frames are left out, nothing waits too long."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.frames.windows import PATIENCE, Window, windows


class Missing:
    """A frame that is not there."""

    def __init__(self, number: int) -> None:
        self.number = number


def seen(clip: list[int | None], radius: int, cuts: set[int] | None = None) -> list[tuple[int, ...] | None]:
    """The window of each frame of the clip, where None is a missing one."""

    async def frames() -> AsyncIterator[int | Missing]:
        for index, number in enumerate(clip):
            yield Missing(index) if number is None else number

    async def collect() -> list[tuple[int, ...] | None]:
        made = windows(frames(), radius=radius, missing=Missing, begins_shot=lambda frame: frame in (cuts or set()))
        return [window.frames if isinstance(window, Window) else None async for window in made]

    return asyncio.run(collect())


def expected(clip: list[int | None], radius: int, cuts: set[int]) -> list[tuple[int, ...] | None]:
    """The same by the definition: each shot as a list, and its windows clamped to it."""
    shots: list[list[int]] = [[]]
    for number in clip:
        if number is not None:
            if number in cuts:
                shots.append([])
            shots[-1].append(number)
    of: dict[int, tuple[int, ...]] = {}
    for shot in shots:
        for place, number in enumerate(shot):
            places = range(place - radius, place + radius + 1)
            of[number] = tuple(shot[min(max(p, 0), len(shot) - 1)] for p in places)
    return [None if number is None else of[number] for number in clip]


def test_the_ends_of_a_clip_are_repeated() -> None:
    assert seen([0, 1, 2, 3], 1) == [(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 3)]
    assert seen([0, 1], 2) == [(0, 0, 0, 1, 1), (0, 0, 1, 1, 1)]
    assert seen([7], 3) == [(7,) * 7]
    assert seen([], 1) == []


def test_no_window_looks_across_a_cut() -> None:
    assert seen([0, 1, 2, 3], 1, {2}) == [(0, 0, 1), (0, 1, 1), (2, 2, 3), (2, 3, 3)]
    assert seen([0, 1, 2], 1, {1, 2}) == [(0,) * 3, (1,) * 3, (2,) * 3]


def test_a_missing_frame_is_left_out_of_its_neighbours_windows() -> None:
    assert seen([0, None, 2, 3], 1) == [(0, 0, 2), None, (0, 2, 3), (2, 3, 3)]
    assert seen([None, 1, None, None, 4, None], 1) == [None, (1, 1, 4), None, None, (1, 4, 4), None]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 3), st.sets(st.integers(0, 39)))
def test_any_clip_is_cut_as_defined(there: list[bool], radius: int, cuts: set[int]) -> None:
    clip = [number if is_there else None for number, is_there in enumerate(there)]
    if any(all(not is_there for is_there in there[at : at + PATIENCE]) for at in range(len(there))):
        there[:] = there[:PATIENCE]  # longer gaps end a shot, which is another test's matter
        clip = clip[:PATIENCE]
    assert seen(clip, radius, cuts) == expected(clip, radius, cuts)


def test_many_missing_frames_in_a_row_do_not_pile_up() -> None:
    waiting = 0
    most = 0

    async def frames() -> AsyncIterator[int | Missing]:
        nonlocal waiting, most
        for number in range(10_000):
            waiting += 1
            most = max(most, waiting)
            yield number if number % 5000 == 0 else Missing(number)

    async def consume() -> int:
        nonlocal waiting
        count = 0
        async for _ in windows(frames(), radius=1, missing=Missing, begins_shot=lambda _: False):
            waiting -= 1
            count += 1
        return count

    assert asyncio.run(consume()) == 10_000
    assert most <= PATIENCE + 5


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_a_window_leaves_as_soon_as_its_last_frame_has_come(radius: int) -> None:
    come = 0

    async def frames() -> AsyncIterator[int | Missing]:
        nonlocal come
        for number in range(20):
            come += 1
            yield number

    async def consume() -> None:
        made = windows(frames(), radius=radius, missing=Missing, begins_shot=lambda _: False)
        for number in range(20):
            await anext(made)
            assert come == min(number + radius + 1, 20)

    asyncio.run(consume())
