"""Clips are decoded to the luma they hold, and windows of them stay together."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", reason="PyAV is not installed (the extra 'video')")

from tests.data_folder import require  # noqa: E402
from training.frames import Clip, WindowSampler, around, decode_luma, find_clips, read_clip  # noqa: E402
from training.resize import downscale  # noqa: E402

CPU = torch.device("cpu")


def write_clip(path: Path, luma: list[np.ndarray], pixel_format: str = "yuv420p", color_range: int = 1) -> None:
    """Losslessly, the luma as given."""
    height, width = luma[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.color_range = color_range
        for plane in luma:
            chroma = np.full((height // 2, width), 128, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([plane, chroma]), format="yuv420p")
            frame.color_range = color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def noise(count: int, height: int = 48, width: int = 66) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(16, 236, (height, width), dtype=np.uint8) for _ in range(count)]


def test_luma_is_what_the_file_holds(tmp_path: Path) -> None:
    luma = noise(3)
    write_clip(tmp_path / "clip.mkv", luma)
    assert all(np.array_equal(*pair) for pair in zip(decode_luma(tmp_path / "clip.mkv"), luma, strict=True))


def test_full_range_becomes_studio_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 48 * 66).reshape(48, 66).astype(np.uint8)
    write_clip(tmp_path / "clip.mkv", [ramp], color_range=2)
    (got,) = decode_luma(tmp_path / "clip.mkv")
    assert np.array_equal(got, np.rint(16 + ramp.astype(float) * 219 / 255).astype(np.uint8))


def test_a_clip_can_be_shrunk_first(tmp_path: Path) -> None:
    luma = noise(2)
    write_clip(tmp_path / "clip.mkv", luma)
    clip = read_clip(tmp_path / "clip.mkv", scale=2, frames=1, windows=2, shrink=3)
    for hr, lr, plane in zip(clip.hr, clip.lr, luma, strict=True):
        assert np.array_equal(hr, downscale(plane, 3))
        assert np.array_equal(lr, downscale(hr, 2))


def test_windows_are_spread_over_the_clip_and_keep_their_neighbours(tmp_path: Path) -> None:
    luma = noise(9)
    write_clip(tmp_path / "clip.mkv", luma)
    clip = read_clip(tmp_path / "clip.mkv", scale=2, frames=3, windows=2, shrink=1)
    assert len(clip.hr) == 6
    for window, middle in zip(clip.windows, (2, 6), strict=True):
        for place, number in zip(window, (middle - 1, middle, middle + 1), strict=True):
            assert np.array_equal(clip.hr[place], luma[number])
            assert np.array_equal(clip.lr[place], downscale(luma[number], 2))


def test_the_ends_of_a_clip_repeat_its_first_and_last_frame() -> None:
    assert around(np.array([0, 3]), 5, 4).tolist() == [[0, 0, 0, 1, 2], [1, 2, 3, 3, 3]]


def test_a_short_clip_gives_as_many_windows_as_it_has_frames(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mkv", noise(2))
    clip = read_clip(tmp_path / "clip.mkv", scale=2, frames=3, windows=30, shrink=1)
    assert len(clip.windows) == 2


def test_patches_of_a_window_show_one_place_turned_alike() -> None:
    rows, columns = np.mgrid[:12, :16]
    lr = [(10 * time + rows + 12 * columns).astype(np.uint8) for time in range(5)]  # at most 40 + 11 + 180
    hr = [np.kron(frame, np.ones((2, 2), np.uint8)) for frame in lr]
    clip = Clip(lr, hr, around(np.arange(5), 3, 5))
    sampler = WindowSampler([clip, clip], scale=2, device=CPU, generator=torch.Generator().manual_seed(0))
    frames, large = sampler.batch(40, 6)
    assert frames.shape == (40, 3, 6, 6)
    assert large.shape == (40, 1, 12, 12)
    assert torch.equal(large[:, :, ::2, ::2], frames[:, 1:2])
    steps = (frames[:, 1:] - frames[:, :-1]).flatten(2)
    assert torch.equal(steps, steps[..., :1].expand_as(steps))  # the same place: all pixels differ by as much
    assert set(steps.unique().tolist()) == {0.0, 10.0}  # 0 where the clip's first or last frame repeats


def test_a_pattern_without_a_clip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert find_clips(tmp_path, ["*.mp4"]) == [tmp_path / "a.mp4"]
    with pytest.raises(FileNotFoundError, match="absent"):
        find_clips(tmp_path, ["*.mp4", "absent.mp4"])


@pytest.mark.data
def test_a_real_clip_is_read() -> None:
    clip = read_clip(require("video", "clips", "carphone_pristine.mp4"), scale=3, frames=3, windows=4, shrink=1)
    assert clip.hr[0].shape == (144, 174)
    assert len(clip.windows) == 4
