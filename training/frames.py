"""Video as tables of luma: clips decoded once (PyAV, the extra "video"), windows of successive frames cut from them."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch

from training.data import Draw, PixelTable
from training.resize import crop_to_multiple, downscale

Luma = npt.NDArray[np.uint8]
PLANAR = {"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "gray"}
FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG


def find_clips(data: Path, patterns: Sequence[str]) -> list[Path]:
    """Files that the patterns name, in order.

    Raises:
        FileNotFoundError: a pattern finds nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        clips = sorted(path for path in data.glob(pattern) if path.is_file())
        if not clips:
            raise FileNotFoundError(f"no clip is {data / pattern}")
        found += clips
    return found


def decode_luma(path: Path) -> list[Luma]:
    """Every frame's Y, uint8 [H, W] in studio range.

    Raises:
        ValueError: the file has no picture.
    """
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path}: no video stream")
        frames = [_luma(frame) for frame in container.decode(video=0)]
    if not frames:
        raise ValueError(f"{path}: no frame could be decoded")
    return frames


def _luma(frame: av.VideoFrame) -> Luma:
    """The first plane as it is stored; converting would change its range or round it again."""
    planar = frame if frame.format.name in PLANAR else frame.reformat(format="yuv420p")
    plane = planar.planes[0]
    rows: Luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
        : planar.height, : planar.width
    ]
    if frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj"):
        rows = np.rint(16 + rows * (219 / 255)).astype(np.uint8)
    return rows.copy()


def evenly_spaced(count: int, total: int) -> npt.NDArray[np.int64]:
    """Numbers of `count` frames out of `total`: the middles of as many equal parts."""
    places: npt.NDArray[np.int64] = ((np.arange(count) + 0.5) * total / count).astype(np.int64)
    return places


def around(middles: npt.NDArray[np.int64], frames: int, count: int) -> npt.NDArray[np.int64]:
    """Frame numbers [M, frames] of windows about `middles`; before the first and after the last frame those repeat."""
    offsets = np.arange(frames) - frames // 2
    places: npt.NDArray[np.int64] = np.clip(middles[:, None] + offsets, 0, count - 1)
    return places


@dataclass(frozen=True)
class Clip:
    """Frames that some windows need: LR and HR luma, and each window's places in them, [M, D]."""

    lr: list[Luma]
    hr: list[Luma]
    windows: npt.NDArray[np.int64]


def read_clip(path: Path, *, scale: int, frames: int, windows: int, shrink: int) -> Clip:
    """Up to `windows` evenly spaced windows of `frames` frames, LR by bicubic.

    Frames are first divided by `shrink`, with the papers' bicubic too. Those in no window are not kept.
    """
    luma = decode_luma(path)
    count = min(windows, len(luma))
    chosen = around(evenly_spaced(count, len(luma)), frames, len(luma))
    kept, places = np.unique(chosen, return_inverse=True)
    shrunk = [downscale(crop_to_multiple(luma[number], shrink), shrink) for number in kept]
    hr = [crop_to_multiple(frame, scale) for frame in shrunk]
    return Clip([downscale(frame, scale) for frame in hr], hr, places.reshape(chosen.shape))


def read_clips(paths: Sequence[Path], *, scale: int, frames: int, windows: int, shrink: int) -> list[Clip]:
    """`read_clip` of each, in threads."""

    def read(path: Path) -> Clip:
        return read_clip(path, scale=scale, frames=frames, windows=windows, shrink=shrink)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # each holds a whole clip for a while
        return list(pool.map(read, paths))


class WindowSampler:
    """Random patches of windows: LR [N, D, p, p] and the middle frame's HR [N, 1, s*p, s*p], luma in 0..255."""

    def __init__(self, clips: Sequence[Clip], *, scale: int, device: torch.device, generator: torch.Generator) -> None:
        self.scale = scale
        self.generator = generator
        self.lr = PixelTable.of([frame for clip in clips for frame in clip.lr], device)
        self.hr = PixelTable.of([frame for clip in clips for frame in clip.hr], device)
        starts = np.cumsum([0] + [len(clip.lr) for clip in clips])
        windows = np.concatenate([clip.windows + start for clip, start in zip(clips, starts, strict=False)])
        self.windows = torch.from_numpy(windows).to(device)
        middles = self.windows[:, windows.shape[1] // 2]
        # What is drawn is a window; its area is its middle frame's.
        self._middle = PixelTable(
            self.lr.pixels, *(x[middles] for x in (self.lr.starts, self.lr.heights, self.lr.widths))
        )

    def batch(self, size: int, patch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` windows, turned alike in all frames.

        Raises:
            ValueError: some clip is smaller than the patch.
        """
        draw = Draw.of(self._middle, size, 8, self.generator)
        tops, lefts = draw.corners(self._middle, patch)
        windows = self.windows[draw.index]
        lr = [self.lr.patches(frame, tops, lefts, patch, draw.dihedral) for frame in windows.unbind(1)]
        middle = windows[:, windows.shape[1] // 2]
        scale = self.scale
        hr = self.hr.patches(middle, tops * scale, lefts * scale, patch * scale, draw.dihedral)
        return torch.cat(lr, dim=1), hr
