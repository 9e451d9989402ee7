"""Speed is measured on the same pixels, with the codecs' share taken out."""

import argparse
from pathlib import Path

import httpx2
import numpy as np
import pytest
from skimage.data import astronaut

from benchmarks.speed import Measurement, measure, photograph


@pytest.mark.parametrize("size", [(100, 60), (512, 512), (1300, 700)], ids=str)
def test_the_picture_fills_any_size_with_the_photograph(size: tuple[int, int]) -> None:
    width, height = size
    picture = photograph(width, height)
    assert picture.shape == (height, width, 3)
    assert np.array_equal(picture[: min(height, 512), : min(width, 512)], astronaut()[:height, :width])


@pytest.mark.parametrize("whole_limit", [10**6, 10], ids=["whole", "in tiles"])
def test_a_request_is_timed_against_the_bare_session(
    client: httpx2.Client, oracle_store: Path, whole_limit: int
) -> None:
    arguments = argparse.Namespace(
        store=oracle_store,
        model="nearest",
        whole_limit=whole_limit,
        threads=1,
        rounds=2,
        providers=["CPUExecutionProvider"],
    )
    row = measure(client, "60x40", 2, arguments)
    assert (row.size, row.scale, row.tiled) == ("60x40", 2, whole_limit == 10)
    assert 0 < row.codec < row.http
    assert row.bare > 0


def test_the_ratio_leaves_decoding_and_encoding_out() -> None:
    assert Measurement("128x128", 4, bare=2.0, tiled=False, http=2.5, codec=0.3).ratio == pytest.approx(1.1)
