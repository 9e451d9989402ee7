"""From folders to tables: photographs decoded by threads straight into place, their LR of every scale in one pass.

Decoding and the sums of the down-sampler release Python's lock; processes would copy every pixel between them.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from training.data import PairSampler, PixelTable, list_images, read_rgb
from training.resize import crop_to_multiple, downscale

Job = TypeVar("Job")
Pixels = npt.NDArray[np.uint8]


def load_pairs(
    folder: Path,
    *,
    scales: Sequence[int],
    device: torch.device,
    generator: torch.Generator,
    limit: int | None = None,
) -> PairSampler:
    """Reads every photograph of a folder (or the first `limit`), makes its bicubic LR, and puts all on the device.

    HR images are cropped to multiples of all scales.
    """
    multiple = math.lcm(*scales)
    paths = list_images(folder)[:limit]
    sizes = [(height - height % multiple, width - width % multiple) for height, width in _sizes(paths)]
    hr = PixelTable.empty(sizes)
    lr = {scale: PixelTable.empty([(height // scale, width // scale) for height, width in sizes]) for scale in scales}
    small_views = zip(*(lr[scale].views() for scale in scales), strict=True)

    def fill(job: tuple[Path, Pixels, tuple[Pixels, ...]]) -> None:
        path, large, small = job
        large[:] = crop_to_multiple(read_rgb(path), multiple)
        for scale, view in zip(scales, small, strict=True):
            view[:] = downscale(large, scale)

    _in_threads(fill, list(zip(paths, hr.views(), small_views, strict=True)))
    return PairSampler({scale: table.to(device) for scale, table in lr.items()}, hr.to(device), generator=generator)


def load_table(folders: Sequence[Path], *, device: torch.device, limit: int | None = None) -> PixelTable:
    """Every picture of some folders (or the first `limit` of each) as it is, RGB."""
    paths = [path for folder in folders for path in list_images(folder)[:limit]]
    table = PixelTable.empty(_sizes(paths))

    def fill(job: tuple[Path, Pixels]) -> None:
        path, view = job
        view[:] = read_rgb(path)

    _in_threads(fill, list(zip(paths, table.views(), strict=True)))
    return table.to(device)


def small_photographs(folder: Path, *, count: int = 8, side: int = 48) -> torch.Tensor:
    """The middles of a folder's first photographs after a division by 4: float [N, 3, side, side] in [0, 1]."""
    middles = []
    for path in list_images(folder)[:count]:
        small = downscale(crop_to_multiple(read_rgb(path), 4), 4)
        top, left = ((length - side) // 2 for length in small.shape[:2])
        middles.append(torch.from_numpy(small[top : top + side, left : left + side]).permute(2, 0, 1).float() / 255)
    return torch.stack(middles)


def _sizes(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """(height, width) from the headers alone."""
    sizes = []
    for path in paths:
        with Image.open(path) as image:
            sizes.append((image.height, image.width))
    return sizes


def _in_threads(fill: Callable[[Job], None], jobs: Sequence[Job]) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _ in pool.map(fill, jobs):
            pass  # to raise what a thread raised
