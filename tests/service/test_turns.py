"""Turns are fair: whoever was served goes to the end, and nobody waits longer than the others' one batch each."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.planes import Plane
from service.sessions import Session
from service.tiling import plan_tiles
from service.turns import BATCH_SIZES, Request, TileShape, Turns
from tests import oracles


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Session]:
    store = oracles.make_store(tmp_path_factory.mktemp("store"))
    return [Session.open(store / "nearest" / f"x{scale}.onnx", device="cpu", threads=1) for scale in (2, 3)]


class Named(Request):
    """A request of `tiles` tiles of one shape."""

    def __init__(self, name: str, shape: TileShape, *, tiles: int) -> None:
        super().__init__(shape)
        self.name = name
        plane = Plane(np.zeros((tiles * 4, 4), np.uint8), 2)
        self.waiting.extend((plane, tile) for tile in plan_tiles(tiles * 4, 4, halo=0, max_tile=4, step=1).tiles)


def line(*requests: Named) -> Turns[Named]:
    turns: Turns[Named] = Turns()
    for request in requests:
        turns.join(request)
    return turns


def batches(turns: Turns[Named], *, limit: int) -> list[str]:
    taken = []
    while turns:
        taken.append("".join(unit.request.name for unit in turns.take(limit=limit)))
    return taken


def test_one_tile_at_a_time_goes_round(sessions: list[Session]) -> None:
    shape = TileShape(sessions[0], 4, 4)
    turns = line(Named("a", shape, tiles=4), Named("b", shape, tiles=1), Named("c", shape, tiles=2))
    assert batches(turns, limit=1) == ["a", "b", "c", "a", "c", "a", "a"]


def test_a_batch_takes_one_tile_of_each_before_a_second_of_any(sessions: list[Session]) -> None:
    shape = TileShape(sessions[0], 4, 4)
    turns = line(Named("a", shape, tiles=9), Named("b", shape, tiles=1), Named("c", shape, tiles=2))
    assert batches(turns, limit=4) == ["abca", "caaa", "aaaa"]


def test_whoever_cannot_share_keeps_their_place_and_is_next(sessions: list[Session]) -> None:
    here, small, other = TileShape(sessions[0], 4, 4), TileShape(sessions[0], 4, 2), TileShape(sessions[1], 4, 4)
    turns = line(
        Named("a", here, tiles=8), Named("x", small, tiles=2), Named("b", here, tiles=2), Named("y", other, tiles=2)
    )
    assert batches(turns, limit=4) == ["abab", "xx", "yy", "aaaa", "aa"]


def test_who_leaves_takes_the_waiting_tiles_along(sessions: list[Session]) -> None:
    shape = TileShape(sessions[0], 4, 4)
    leaver = Named("a", shape, tiles=5)
    turns = line(leaver, Named("b", shape, tiles=2))
    turns.take(limit=1)
    turns.leave(leaver)
    turns.leave(leaver)
    assert not leaver.waiting
    assert batches(turns, limit=8) == ["bb"]


@given(tiles=st.lists(st.integers(1, 12), min_size=1, max_size=8), limit=st.integers(1, 40))
def test_every_tile_goes_once_in_batches_of_recurring_sizes(
    sessions: list[Session], tiles: list[int], limit: int
) -> None:
    shape = TileShape(sessions[0], 4, 4)
    names = "abcdefgh"[: len(tiles)]
    taken = batches(line(*(Named(n, shape, tiles=t) for n, t in zip(names, tiles, strict=True))), limit=limit)
    assert Counter("".join(taken)) == dict(zip(names, tiles, strict=True))
    assert all(len(batch) in BATCH_SIZES and len(batch) <= limit for batch in taken)


@given(tiles=st.lists(st.integers(1, 12), min_size=2, max_size=8), limit=st.sampled_from(BATCH_SIZES))
def test_a_single_tile_waits_for_one_batch_of_each_before_it_at_most(
    sessions: list[Session], tiles: list[int], limit: int
) -> None:
    shape = TileShape(sessions[0], 4, 4)
    others = [Named(str(i), shape, tiles=t) for i, t in enumerate(tiles)]
    taken = batches(line(*others, Named("z", shape, tiles=1)), limit=limit)
    assert next(i for i, batch in enumerate(taken) if "z" in batch) <= len(others)
