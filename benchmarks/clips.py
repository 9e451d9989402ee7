"""Quality of moving pictures: PSNR on Y of clips through `POST /upscale/frames`, for `benchmarks.quality --video`.

Protocol of VESPCN (Caballero et al. 2017): LR by MATLAB's bicubic, each frame compared on Y, the full frame and without
8 pixels at each border; the mean over a clip's frames, then over clips.
"""

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import httpx2
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.duplex import upscale_frames
from training.metrics import luma, psnr
from training.resize import crop_to_multiple, downscale, resize

Pixels = npt.NDArray[np.uint8]
Enlarge = Callable[[Iterator[Pixels]], Iterator[Pixels]]
VIDEOS = {".mp4", ".mkv", ".mov", ".webm", ".avi"}
PICTURES = {".png", ".bmp", ".tif", ".tiff"}
BORDER = 8


class ClipRow(NamedTuple):
    """One line of the table: means over the frames of a clip, in dB."""

    clip: str
    method: str
    scale: int
    frames: int
    psnr: float
    psnr_cropped: float


def find_clips(folder: Path) -> list[Path]:
    """Video files, and folders of frames such as Vid4's, in order.

    Raises:
        FileNotFoundError: there are none.
    """
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in VIDEOS or _pictures(path)]
    if not found:
        raise FileNotFoundError(f"no clips in {folder}")
    return found


def read_frames(clip: Path, scale: int, *, most: int | None) -> Iterator[Pixels]:
    """The first `most` frames (None: all) as RGB, cropped to a multiple of the scale."""
    for frame in islice(_decoded(clip), most):
        yield crop_to_multiple(frame, scale)


def _decoded(clip: Path) -> Iterator[Pixels]:
    if clip.is_dir():
        for path in _pictures(clip):
            with Image.open(path) as image:
                yield np.asarray(image.convert("RGB"))
        return
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def bicubic(scale: int) -> Enlarge:
    """Each frame by itself."""
    return lambda frames: (resize(lr, lr.shape[0] * scale, lr.shape[1] * scale) for lr in frames)


def over_http(client: httpx2.Client, model: str, scale: int) -> Enlarge:
    """`POST /upscale/frames` as a function of frames. Raises RuntimeError where the service refuses."""

    def enlarge(frames: Iterator[Pixels]) -> Iterator[Pixels]:
        answers = upscale_frames(client, map(_png, frames), model=model, scale=scale, format="png")
        for content in answers:
            with Image.open(io.BytesIO(content)) as image:
                yield np.asarray(image)

    return enlarge


def measure(clip: Path, method: str, scale: int, enlarge: Enlarge, *, most: int | None = None) -> ClipRow:
    """Means over the clip. The HR frames are decoded twice, so that a long clip need not be held."""
    lr = (downscale(hr, scale) for hr in read_frames(clip, scale, most=most))
    scores = [
        (psnr(luma(sr), luma(hr)), psnr(luma(sr)[_INNER], luma(hr)[_INNER]))
        for sr, hr in zip(enlarge(lr), read_frames(clip, scale, most=most), strict=True)
    ]
    full, cropped = np.mean(scores, axis=0).tolist()
    return ClipRow(clip.name, method, scale, len(scores), full, cropped)


_INNER = np.s_[BORDER:-BORDER, BORDER:-BORDER]


def run(
    client: httpx2.Client, folder: Path, pairs: list[tuple[str, int]], *, most: int | None = None
) -> Iterator[ClipRow]:
    """Rows as they are measured: for each scale and method every clip and their mean, bicubic first."""
    clips = find_clips(folder)
    for scale in sorted({scale for _, scale in pairs}):
        methods: list[tuple[str, Enlarge]] = [("bicubic", bicubic(scale))]
        methods += [(model, over_http(client, model, scale)) for model, own in pairs if own == scale]
        for method, enlarge in methods:
            rows = []
            for clip in clips:
                rows.append(measure(clip, method, scale, enlarge, most=most))
                yield rows[-1]
            yield mean_of(rows)


def mean_of(rows: list[ClipRow]) -> ClipRow:
    """The mean over clips, each of equal weight."""
    first = rows[0]
    full, cropped = (float(np.mean([row[index] for row in rows])) for index in (4, 5))
    return ClipRow("mean", first.method, first.scale, sum(row.frames for row in rows), full, cropped)


HEAD = "| clip | frames | scale | method | PSNR-Y dB | without 8 px |\n|---|---|---|---|---|---|"


def line(row: ClipRow) -> str:
    """The row in Markdown."""
    return f"| {row.clip} | {row.frames} | x{row.scale} | {row.method} | {row.psnr:.2f} | {row.psnr_cropped:.2f} |"


def _png(frame: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=1)
    return file.getvalue()
