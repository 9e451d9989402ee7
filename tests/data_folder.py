"""Where the optional benchmark data lies; tests that need it skip with a reason where it is absent."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def require(*parts: str) -> Path:
    """The path of a file or folder of the benchmark data, or a skip."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"benchmark data is not at hand: {'/'.join(parts)}")
    return path
