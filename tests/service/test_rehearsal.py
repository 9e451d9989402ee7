"""The rehearsal plays the turns on lanes and express to the end of one work, as the cores would take them."""

import pytest

from service.rehearsal import MANY_TILES, ExpectedTiles, Stage


def tiles(due: float, seconds: float, *, count: int = 1) -> ExpectedTiles:
    """Tiles that count what they take; the first is due then."""
    return ExpectedTiles(count, due - seconds, seconds, lane_s=seconds, express_s=1.5 * seconds)


def stage(*lanes: float, express_s: float | None = None) -> Stage:
    """Lanes that are free after so long, each of a tile that counts ten."""
    return Stage([(seconds, 10.0) for seconds in lanes], express_s, express_ratio=2)


def test_on_one_lane_they_go_one_after_the_other() -> None:
    assert stage(7).seconds_until_done(tiles(4, 4), [tiles(1, 2), tiles(2, 3)]) == 7 + 2 + 3 + 4


def test_its_own_tiles_take_turns_with_the_others() -> None:
    # Its own are due at 4 and 8, the other's at 3 and 6: the first lane is free at 3 and at 6, the second at 4.
    assert stage(0, 0).seconds_until_done(tiles(4, 4, count=2), [tiles(3, 3, count=2)]) == 4 + 4


def test_each_takes_the_lane_that_is_free_first() -> None:
    # The first goes on the second lane until 7, the second on the first lane until 6, and then this one.
    assert stage(5, 1).seconds_until_done(tiles(3, 1), [tiles(1, 6), tiles(2, 1)]) == 7


def test_nobody_before_and_a_lane_free_it_takes_what_it_takes() -> None:
    assert stage(0, 9).seconds_until_done(tiles(1, 3), []) == 3


def test_a_small_one_goes_by_the_express_while_all_lanes_have_large_ones() -> None:
    assert stage(8, 9, express_s=2).seconds_until_done(tiles(1, 5), []) == 2 + 7.5
    assert stage(8, 9, express_s=2).seconds_until_done(tiles(1, 6), []) == 8 + 6  # which is not small


def test_small_ones_before_it_go_by_the_express_before_it_and_cost_the_lanes_a_part() -> None:
    small = [tiles(1, 2), tiles(2, 2)]
    assert stage(8, 9, express_s=0).seconds_until_done(tiles(3, 2), small) == 9  # 3 + 3 + 3
    # A large one waits for a lane, which is later by a third of what the express has had.
    assert stage(8, 9, express_s=0).seconds_until_done(tiles(3, 6), small) == pytest.approx(8 + 1 + 1 + 6)


def test_the_express_cannot_begin_before_there_is_a_large_one_to_run_beside() -> None:
    lanes = Stage([(4.0, 1.0), (9.0, 10.0)], 0.0, express_ratio=2)
    # The first lane has a small one until 4, then the large one that is due first; only then is there an express.
    assert lanes.seconds_until_done(tiles(2, 3), [tiles(1, 8)]) == 4 + 4.5


def test_of_many_the_mean_is_taken() -> None:
    assert stage(3, 5).seconds_until_done(tiles(9, 2), [tiles(1, 1, count=MANY_TILES)]) == (3 + 5 + MANY_TILES) / 2 + 2
    many = tiles(1, 1, count=10**9)  # not one by one
    assert stage(0.0).seconds_until_done(tiles(9, 2, count=3), [many]) == 10**9 + 6
