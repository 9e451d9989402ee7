"""The screenshots that are kept are those that the script makes: every width, light and dark, and small."""

import numpy as np
import pytest
from PIL import Image

from scripts.screenshots import SCHEMES, WIDTHS
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "page"


@pytest.mark.parametrize(("name", "width"), WIDTHS.items())
def test_each_width_is_there_light_and_dark(name: str, width: int) -> None:
    brightness = {}
    for scheme in SCHEMES:
        path = FOLDER / f"{name}-{scheme}.webp"
        assert path.stat().st_size < 150_000
        with Image.open(path) as picture:
            assert picture.width == width
            brightness[scheme] = float(np.median(np.asarray(picture.convert("L"))))
    assert brightness["light"] > 200
    assert brightness["dark"] < 60


def test_no_other_is_kept_and_all_are_shown() -> None:
    kept = {path.name for path in FOLDER.glob("*.webp")}
    assert kept == {f"{name}-{scheme}.webp" for name in WIDTHS for scheme in SCHEMES}
    page = (FOLDER / "README.md").read_text()
    assert [name for name in sorted(kept) if f"({name})" not in page] == []
