"""What an export is measured on: crops, mirrored photographs, and frames that move the way they say."""

from itertools import pairwise

import numpy as np
import pytest

from export.photographs import Motion, centre_crop, mirrored, moving, photographs


def test_the_photographs_are_large_enough_for_what_is_measured_on_them() -> None:
    assert {name: picture.shape for name, picture in photographs().items()} == {
        "astronaut": (512, 512, 3),
        "chelsea": (300, 451, 3),
        "coffee": (400, 600, 3),
    }


def test_a_crop_is_the_middle() -> None:
    rows = np.arange(7)[:, None, None] * np.ones((1, 5, 3), np.int64)
    crop = centre_crop(rows.astype(np.uint8), 3, 5)
    assert crop.shape == (3, 5, 3)
    assert np.array_equal(crop[:, 0, 0], [2, 3, 4])


@pytest.mark.parametrize("motion", [(2, -3), (-1, 4), (0, 1)], ids=str)
def test_what_a_frame_shows_is_in_the_next_one_where_the_motion_says(motion: Motion) -> None:
    window = moving(photographs()["coffee"], 3, motion)
    down, right = motion
    assert window.shape == (3, 400 - 2 * abs(down), 600 - 2 * abs(right), 3)
    for earlier, later in pairwise(window):
        assert np.array_equal(earlier[50:60, 50:60], later[50 + down : 60 + down, 50 + right : 60 + right])
    assert not np.array_equal(window[0], window[1])


def test_a_photograph_grows_by_its_mirror_images_and_only_where_it_is_too_small() -> None:
    photograph = photographs()["chelsea"]
    grown = mirrored(photograph, 500, 400)
    assert grown.shape == (500, 451, 3)
    assert np.array_equal(grown[100:400], photograph)
    assert np.array_equal(grown[99], photograph[0])
    assert np.array_equal(grown[400], photograph[-1])
    assert np.array_equal(grown[0], photograph[99])
