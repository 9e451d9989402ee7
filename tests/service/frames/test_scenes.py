"""Cuts are found where they are, and motion, noise and fades are none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.frames.scenes import SMALL, CutDetector, small_luma
from tests.data_folder import require

Frame = NDArray[np.uint8]


def landscape(seed: int, *, height: int = 120, width: int = 200) -> Frame:
    """A smooth random picture, larger than the frames cut from it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 20 + 2, width // 20 + 2, 3), dtype=np.uint8)
    return coarse.repeat(40, axis=0).repeat(40, axis=1)


def pan(seed: int, count: int, *, step: int) -> list[Frame]:
    picture = landscape(seed, height=160, width=160 + count * step)
    return [np.ascontiguousarray(picture[:120, i * step : i * step + 160]) for i in range(count)]


def cuts(frames: list[Frame]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.begins_shot(small_luma(frame))]


def test_cuts_between_shots_are_found() -> None:
    assert cuts(pan(1, 10, step=2) + pan(2, 8, step=1) + pan(3, 5, step=2)) == [10, 18]


def test_steady_motion_is_no_cut_however_fast() -> None:
    assert cuts(pan(4, 30, step=1)) == []
    assert [at for at in cuts(pan(5, 30, step=16)) if at > 2] == []


def test_a_flash_is_a_shot_of_its_own() -> None:
    shot = pan(6, 12, step=1)
    shot[6] = np.full_like(shot[6], 255)
    assert cuts(shot) == [6, 7]


def test_noise_and_fades_are_no_cuts() -> None:
    rng = np.random.default_rng(7)
    still = landscape(7)[:120, :160].astype(np.int64)
    noisy = [np.clip(still + rng.normal(0, 25, still.shape), 0, 255).astype(np.uint8) for _ in range(20)]
    assert cuts(noisy) == []
    fade = [(still * (20 - step) // 20).astype(np.uint8) for step in range(20)]
    assert cuts(fade) == []


def test_one_frame_and_frames_of_one_pixel_are_no_cuts() -> None:
    assert cuts([landscape(1)]) == []
    assert cuts([np.zeros((1, 1, 3), np.uint8)] * 3) == []


@pytest.mark.parametrize("size", [(36, 64), (71, 100), (120, 160), (1080, 1920), (5, 400)])
def test_frames_are_looked_at_small(size: tuple[int, int]) -> None:
    luma = small_luma(np.full((*size, 3), 200, np.uint8))
    assert min(luma.shape) < 2 * SMALL
    assert luma.dtype == np.float32
    assert (luma == 200).all()


def test_sixteen_bits_are_seen_as_eight() -> None:
    frame = landscape(8)
    wide = frame.astype(np.uint16) * 257
    assert np.array_equal(small_luma(wide), small_luma(frame))


def test_real_cuts_are_found_and_real_motion_is_none() -> None:
    """The five cuts of `bikes` were read off its frames by eye; the other clips are single shots with fast motion."""
    av = pytest.importorskip("av")
    folder = require("video", "clips")
    found = {}
    for name in ("bikes.mp4", "03_blocks.mp4", "car-detection.mp4", "carphone_distorted.mp4"):
        with av.open(str(folder / name)) as container:
            frames = container.decode(container.streams.video[0])
            detector = CutDetector()
            found[name] = [
                index
                for index, frame in zip(range(250), frames, strict=False)
                if detector.begins_shot(small_luma(frame.to_ndarray(format="rgb24")))
            ]
    assert found == {
        "bikes.mp4": [30, 76, 137, 187, 242],
        "03_blocks.mp4": [],
        "car-detection.mp4": [],
        "carphone_distorted.mp4": [],
    }
