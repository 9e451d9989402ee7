"""The memory cap halves when memory runs out, and after long calm tries more again."""

from service.memory_cap import CALM_BATCHES, MemoryCap


def test_there_is_none_until_memory_runs_out() -> None:
    assert MemoryCap().room(10**12)


def test_each_time_it_is_half_of_what_was_too_much() -> None:
    cap = MemoryCap()
    cap.ran_out(1000)
    assert (cap.room(500), cap.room(501)) == (True, False)
    cap.ran_out(300)
    assert (cap.room(150), cap.room(151)) == (True, False)
    cap.ran_out(10_000)  # begun before the cap was known, it says nothing new
    assert cap.pixels == 150


def test_it_never_forbids_everything() -> None:
    cap = MemoryCap()
    cap.ran_out(1)
    assert cap.pixels == 1


def test_after_long_calm_twice_as_much_is_tried() -> None:
    cap = MemoryCap()
    cap.ran_out(1000)
    for _ in range(CALM_BATCHES - 1):
        cap.went_well()
    assert cap.pixels == 500
    cap.went_well()
    assert cap.pixels == 1000
