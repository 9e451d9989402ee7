"""The network sees the same tile of every frame of the window, and its answer is the middle one's."""

import numpy as np
import pytest

from service.frames.plane import WindowPlane
from service.manifest import Manifest
from service.tiling import plan_tiles
from tests import oracle_kinds, oracles


def facts(pixels: oracles.Pixels = "uint8") -> Manifest:
    return oracles.get_manifest(oracle_kinds.clip_graph(2, pixels))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_are_stacked_in_the_windows_order(dtype: type[np.uint8 | np.uint16]) -> None:
    frames = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, 50, 70, 3), dtype=dtype)
    plane = WindowPlane(list(frames), 2)
    assert plane.fits(facts("uint8" if dtype is np.uint8 else "float32"))
    for tile in plan_tiles(50, 70, halo=2, max_tile=32).tiles:
        cut = frames[:, tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        wanted = cut if dtype is np.uint8 else cut.astype(np.float32) / 65535
        assert np.allclose(plane.read(tile), wanted, rtol=0, atol=1e-7)
    assert plane.source is not None
    assert np.array_equal(plane.source, frames[1])
    assert plane.output.shape == (100, 140, 3)


def test_a_plane_of_one_channel_is_seen_as_grey() -> None:
    frames = np.random.default_rng(1).integers(0, 255, (3, 9, 7), dtype=np.uint8)
    plane = WindowPlane(list(frames), 2)
    (tile,) = plan_tiles(9, 7, halo=0, max_tile=32).tiles
    assert np.array_equal(plane.read(tile), frames[..., None].repeat(3, axis=-1))


def test_a_window_of_another_length_does_not_fit() -> None:
    frame = np.zeros((9, 7, 3), np.uint8)
    assert not WindowPlane([frame] * 5, 2).fits(facts())
