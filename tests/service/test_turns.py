"""Turns are fair by pixels within a class, 8 : 2 : 1 between classes, and nobody waits for ever."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.planes import Plane
from service.sessions import Session
from service.tiling import plan_tiles
from service.turns import BATCH_SIZES, WEIGHTS, QueueClass, Request, TileShape, Turns
from tests.service.scheduling import Sessions

CLASSES = st.sampled_from(sorted(WEIGHTS))


@pytest.fixture(scope="module")
def session(sessions: Sessions) -> Session:
    return sessions["nearest"]


class Named(Request):
    """A request of `tiles` tiles, each 2 pixels wide and `height` high."""

    def __init__(
        self, name: str, session: Session, *, tiles: int, height: int = 4, queue_class: QueueClass = "interactive"
    ) -> None:
        super().__init__(TileShape(session, height, 2), queue_class)
        self.name = name
        plane = Plane(np.zeros((tiles * height, 2), np.uint8), 2)
        plan = plan_tiles(tiles * height, 2, halo=0, max_tile=height, step=1)
        assert len(plan.tiles) == tiles
        self.waiting.extend((plane, tile) for tile in plan.tiles)


def line(*requests: Named) -> Turns[Named]:
    turns: Turns[Named] = Turns()
    for request in requests:
        turns.join(request)
    return turns


def take(turns: Turns[Named], *, limit: int = 1) -> str:
    first = turns.first()
    assert first is not None
    return "".join(unit.request.name for unit in turns.take(first, limit=limit))


def batches(turns: Turns[Named], *, limit: int = 1) -> list[str]:
    taken = []
    while turns:
        taken.append(take(turns, limit=limit))
    return taken


# --- within a class


def test_equal_requests_go_round(session: Session) -> None:
    turns = line(*(Named(name, session, tiles=tiles) for name, tiles in (("a", 4), ("b", 1), ("c", 2))))
    assert batches(turns) == ["a", "b", "c", "a", "c", "a", "a"]


def test_shares_are_equal_in_pixels_not_in_tiles(session: Session) -> None:
    turns = line(Named("L", session, tiles=10, height=12), Named("s", session, tiles=30, height=4))
    taken = "".join(batches(turns))
    for length in range(1, len(taken)):
        large, small = (12 * taken[:length].count("L"), 4 * taken[:length].count("s"))
        assert abs(large - small) <= 12


def test_a_small_newcomer_goes_before_the_next_tile_of_a_large_one(session: Session) -> None:
    turns = line(Named("L", session, tiles=50, height=64))
    for _ in range(10):
        take(turns)
    turns.join(Named("s", session, tiles=1))
    assert take(turns) == "s"


def test_a_newcomer_has_earned_nothing_while_it_was_away(session: Session) -> None:
    turns = line(Named("a", session, tiles=100))
    for _ in range(50):
        take(turns)
    turns.join(Named("b", session, tiles=4))
    assert "".join(take(turns) for _ in range(8)) == "abababab"


def test_newcomers_without_end_do_not_keep_a_large_tile_waiting(session: Session) -> None:
    turns = line(Named("L", session, tiles=1, height=40))
    taken = ""
    while "L" not in taken:
        turns.join(Named("s", session, tiles=1))
        taken += take(turns)
    assert taken == "s" * 9 + "L"  # ten small ones, one after the other, are as many pixels


# --- batches


def test_a_batch_takes_one_tile_of_each_before_a_second_of_any(session: Session) -> None:
    turns = line(*(Named(name, session, tiles=tiles) for name, tiles in (("a", 9), ("b", 1), ("c", 2))))
    assert batches(turns, limit=4) == ["abca", "caaa", "aaaa"]


def test_whoever_cannot_share_goes_when_it_is_their_turn(session: Session, sessions: Sessions) -> None:
    turns = line(
        Named("a", session, tiles=8),
        Named("x", session, tiles=2, height=2),
        Named("b", session, tiles=2),
        Named("y", sessions["blur"], tiles=2),
    )
    assert batches(turns, limit=4) == ["xx", "abab", "yy", "aaaa", "aa"]


def test_who_goes_along_early_pays_and_waits_for_it_later(session: Session) -> None:
    turns = line(Named("a", session, tiles=20), Named("x", session, tiles=9, height=3))
    assert take(turns, limit=1) == "x"
    first = turns.first(lambda shape: shape.height == 4)
    assert first is not None
    assert len(turns.take(first, limit=4)) == 4  # 32 pixels, which the other, with 6 a tile, then makes up for
    assert "".join(take(turns) for _ in range(6)) == "xxxxxa"


def test_a_tile_that_is_given_back_is_the_next_of_its_request_and_unpaid(session: Session) -> None:
    request, other = Named("a", session, tiles=2), Named("b", session, tiles=2)
    turns = line(request, other)
    (unit,) = turns.take(request, limit=1)
    turns.give_back(unit)
    assert request.waiting[0] == (unit.plane, unit.tile)
    assert "".join(batches(turns)) == "abab"
    (unit,) = line(lone := Named("c", session, tiles=1)).take(lone, limit=1)
    turns.give_back(unit)
    assert batches(turns) == ["c"]


def test_who_leaves_takes_the_waiting_tiles_along(session: Session) -> None:
    leaver = Named("a", session, tiles=5)
    turns = line(leaver, Named("b", session, tiles=2))
    take(turns)
    turns.leave(leaver)
    turns.leave(leaver)
    assert not leaver.waiting
    assert batches(turns, limit=8) == ["bb"]


# --- classes


def test_classes_share_by_their_weights(session: Session) -> None:
    names: dict[str, QueueClass] = {"i": "interactive", "f": "frames", "j": "jobs"}
    turns = line(*(Named(name, session, tiles=200, queue_class=kind) for name, kind in names.items()))
    taken = Counter(take(turns) for _ in range(110))
    assert taken == {"i": 80, "f": 20, "j": 10}


def test_a_class_alone_has_everything(session: Session) -> None:
    turns = line(Named("j", session, tiles=5, queue_class="jobs"))
    assert batches(turns) == ["j"] * 5


def test_a_class_that_comes_late_has_not_saved_up(session: Session) -> None:
    turns = line(Named("j", session, tiles=100, queue_class="jobs"))
    for _ in range(50):
        take(turns)
    turns.join(Named("i", session, tiles=100))
    taken = "".join(take(turns) for _ in range(45))
    assert taken.count("j") == 5


@given(
    requests=st.lists(st.tuples(CLASSES, st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=8),
    limit=st.integers(1, 40),
)
def test_every_tile_goes_once_in_batches_of_recurring_sizes(
    session: Session, requests: list[tuple[QueueClass, int, int]], limit: int
) -> None:
    tiles = {name: tiles for name, (_, tiles, _) in zip("abcdefgh", requests, strict=False)}
    turns = line(
        *(
            Named(name, session, tiles=tiles, height=4 * height, queue_class=kind)
            for name, (kind, tiles, height) in zip("abcdefgh", requests, strict=False)
        )
    )
    taken = batches(turns, limit=limit)
    assert Counter("".join(taken)) == tiles
    assert all(len(batch) in BATCH_SIZES and len(batch) <= limit for batch in taken)


@given(
    others=st.lists(st.tuples(CLASSES, st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=8),
    kind=CLASSES,
    height=st.integers(1, 9),
)
def test_nobody_waits_longer_than_their_share_and_a_tile_of_each_other(
    session: Session, others: list[tuple[QueueClass, int, int]], kind: QueueClass, height: int
) -> None:
    turns = line(*(Named(str(i), session, tiles=t, height=4 * h, queue_class=k) for i, (k, t, h) in enumerate(others)))
    mine = Named("z", session, tiles=1, height=4 * height, queue_class=kind)
    turns.join(mine)
    waited = 0
    while (first := turns.first()) is not mine:
        assert first is not None
        turns.take(first, limit=1)
        waited += first.shape.pixels
    peers = sum(mine.shape.pixels for k, _, _ in others if k == kind)
    class_cost = (mine.shape.pixels + peers + 36 * 2) / WEIGHTS[kind]
    elsewhere = sum(weight * class_cost for name, weight in WEIGHTS.items() if name != kind)
    assert waited <= peers + elsewhere + sum(8 * h for _, _, h in others)


# --- who goes before a newcomer's last tile


@given(
    before=st.integers(0, 20),
    others=st.lists(st.tuples(CLASSES, st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=8),
    mine=st.tuples(CLASSES, st.integers(1, 12), st.integers(1, 9)),
)
def test_who_is_said_to_be_ahead_goes_before_within_a_tile_or_what_is_left_of_a_class(
    session: Session,
    before: int,
    others: list[tuple[QueueClass, int, int]],
    mine: tuple[QueueClass, int, int],
) -> None:
    turns = line(*(Named(str(i), session, tiles=t, height=4 * h, queue_class=k) for i, (k, t, h) in enumerate(others)))
    for _ in range(before):
        if turns:
            take(turns)
    kind, tiles, height = mine
    newcomer = Named("z", session, tiles=tiles, height=4 * height, queue_class=kind)
    ahead = turns.ahead(kind, tiles * newcomer.shape.effort)
    turns.join(newcomer)
    taken: Counter[str] = Counter()
    while newcomer.waiting:
        taken[take(turns)] += 1
    for each in ahead:
        assert each.least <= each.most
        if each.request.queue_class == kind:
            assert taken[each.request.name] in (each.least - 1, each.least)  # a tie may go to the newcomer
    # Of other classes only the sum is known: within the largest tiles of all, for each turn that a class takes.
    for name in set(WEIGHTS) - {kind}:
        rivals = [each for each in ahead if each.request.queue_class == name]
        expected = sum(each.least * each.request.shape.effort for each in rivals)
        found = sum(taken[each.request.name] * each.request.shape.effort for each in rivals)
        largest = max((each.request.shape.effort for each in ahead), default=0.0) + newcomer.shape.effort
        assert abs(found - expected) <= 2 * largest * (1 + WEIGHTS[name] / WEIGHTS[kind])
