"""The contact sheet shows the same crop of every picture, one row a picture."""

import numpy as np
import pytest

from benchmarks.contact_sheet import GAP, LABEL_HEIGHT, load, parse_crop, sheet


def test_crops_lie_side_by_side_below_their_labels() -> None:
    pictures = [("a", np.full((20, 20, 3), 10, np.uint8)), ("b", np.full((20, 20, 3), 200, np.uint8))]
    canvas = np.asarray(sheet([pictures], [(2, 3, 8, 6)], zoom=2))
    assert canvas.shape == (LABEL_HEIGHT + 16, 12 + GAP + 12, 3)
    assert (canvas[LABEL_HEIGHT:, :12] == 10).all()
    assert (canvas[LABEL_HEIGHT:, 12 : 12 + GAP] == 255).all()
    assert (canvas[LABEL_HEIGHT:, 12 + GAP :] == 200).all()


def test_a_crop_is_four_numbers() -> None:
    assert parse_crop("1,2,3,4") == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="not enough values"):
        parse_crop("1,2,3")


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_the_free_photographs_are_at_hand(name: str) -> None:
    assert load(name).ndim == 3
