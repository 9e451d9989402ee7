"""Sizes: the next larger scale runs, halves are rounded up, and what cannot be had is told what can."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadParameter, UnsupportedScale
from service.sizes import SizeWish, Target

SCALES = (2, 4)


def target(wish: SizeWish, *, height: int = 30, width: int = 40) -> Target:
    wish.check("edsr", SCALES)
    return wish.target("edsr", SCALES, height=height, width=width)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1, Target(2, 30, 40)),
        (1.5, Target(2, 45, 60)),
        (2, Target(2, 60, 80)),
        (2.01, Target(2, 60, 80)),  # not a pixel more is wanted, so none is made
        (2.02, Target(4, 61, 81)),
        (2.5, Target(4, 75, 100)),
        (3, Target(4, 90, 120)),
        (4, Target(4, 120, 160)),
    ],
)
def test_the_next_larger_scale_runs(scale: float, expected: Target) -> None:
    assert target(SizeWish(scale)) == expected


@pytest.mark.parametrize(
    ("scale", "side", "expected"),
    [(1.5, 1, 2), (1.5, 3, 5), (1.15, 10, 12), (1.1, 10, 11), (2.45, 10, 25), (1.001, 10, 10), (3.3333, 3, 10)],
)
def test_halves_are_rounded_up_and_decimals_are_what_they_say(scale: float, side: int, expected: int) -> None:
    assert target(SizeWish(scale), height=side, width=side).height == expected


def test_one_side_is_enough_and_keeps_the_proportions() -> None:
    assert target(SizeWish(width=100)) == Target(4, 75, 100)
    assert target(SizeWish(height=45)) == Target(2, 45, 60)
    assert target(SizeWish(width=41)) == Target(2, 31, 41)  # 30.75
    assert target(SizeWish(width=5000), height=1, width=2000) == Target(4, 3, 5000)  # 2.5


def test_both_sides_are_taken_as_they_are() -> None:
    assert target(SizeWish(width=80, height=31)) == Target(2, 31, 80)
    assert target(SizeWish(width=81, height=31)) == Target(4, 31, 81)


@given(height=st.integers(1, 500), width=st.integers(1, 500), scale=st.floats(1, 4))
def test_the_smallest_scale_that_is_enough_runs(height: int, width: int, scale: float) -> None:
    found = target(SizeWish(scale), height=height, width=width)
    assert height <= found.height <= height * found.scale
    assert width <= found.width <= width * found.scale
    if found.scale == 4:
        assert found.height > 2 * height or found.width > 2 * width
    assert abs(found.height - height * scale) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("wish", "parameter", "limit", "actual"),
    [
        (SizeWish(width=39), "width", [40, 160], 39),
        (SizeWish(width=161), "width", [40, 160], 161),
        (SizeWish(height=29), "width", [40, 160], 39),
        (SizeWish(height=121), "width", [40, 160], 161),
        (SizeWish(width=40, height=29), "height", [30, 120], 29),
        (SizeWish(width=160, height=121), "height", [30, 120], 121),
        (SizeWish(width=10**18), "width", [40, 160], 10**18),
    ],
)
def test_a_side_out_of_range_is_told_the_range(wish: SizeWish, parameter: str, limit: list[int], actual: int) -> None:
    with pytest.raises(UnsupportedScale, match=re.escape(f"a {parameter} of {actual} pixels")) as caught:
        target(wish)
    assert caught.value.members == {"parameter": parameter, "limit": limit, "actual": actual}


@pytest.mark.parametrize("scale", [0.99, 4.01, 0, -1])
def test_a_scale_out_of_range_is_told_the_scales_and_the_range(scale: float) -> None:
    with pytest.raises(UnsupportedScale, match=r"It has 2, 4\. Any number from 1 to 4 is made") as caught:
        SizeWish(scale).check("edsr", SCALES)
    assert caught.value.members == {"supported": [2, 4], "limit": [1, 4], "actual": scale}


@pytest.mark.parametrize("sides", [{"width": 5}, {"height": 5}, {"width": 5, "height": 5}])
def test_scale_and_sides_exclude_each_other(sides: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=f"scale and {next(iter(sides))} exclude each other"):
        SizeWish(2, **sides).check("edsr", SCALES)


def test_a_network_of_one_scale_needs_not_be_told_it() -> None:
    SizeWish().check("l2h", [4])
    assert SizeWish().target("l2h", [4], height=5, width=7) == Target(4, 20, 28)


def test_without_any_wish_the_scales_are_told() -> None:
    with pytest.raises(BadParameter, match="scale is missing; choose one of: 2, 4, or give width or height") as caught:
        SizeWish().check("edsr", SCALES)
    assert caught.value.members == {"parameter": "scale", "available": [2, 4]}
