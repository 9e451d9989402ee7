"""Frames of clips become pictures: evenly spaced, as they are, or shrunk and coded anew."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from training.stills import coded, main, read_frames, shrunk


def numbered(count: int) -> list[np.ndarray]:
    """Flat frames, each a little lighter than the one before."""
    return [np.full((48, 64, 3), 20 + 4 * number, np.uint8) for number in range(count)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for frame in numbered(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_are_taken_from_the_middles_of_equal_parts(clip: Path) -> None:
    values = [frame.mean() for frame in read_frames(clip, count=3)]
    assert values == pytest.approx([20 + 4 * number for number in (5, 15, 25)], abs=2)


def test_a_short_clip_gives_all_its_frames(clip: Path) -> None:
    assert len(read_frames(clip, count=1000)) == 30


def test_shrunk_sides_are_even() -> None:
    assert shrunk([np.zeros((50, 70, 3), np.uint8)], 3)[0].shape == (16, 22, 3)


def test_coding_loses_more_at_a_higher_rate_factor() -> None:
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]

    def loss(crf: int) -> float:
        after = coded(frames, crf=crf)
        assert [frame.shape for frame in after] == [(48, 64, 3)] * 3
        return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(after, frames, strict=True)]))

    assert loss(10) < loss(45)


def test_the_command_writes_pictures(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "stills"
    assert main([str(clip), "-o", str(output), "--per-clip", "4", "--shrink", "2"]) == 0
    written = sorted(output.iterdir())
    assert [path.name for path in written] == [f"clip-{number:03}.png" for number in range(4)]
    with Image.open(written[0]) as image:
        assert image.size == (32, 24)
