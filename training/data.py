"""Training pairs: photographs as one table of pixels, patches as index arithmetic, so that it all can sit on a GPU."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from training.resize import crop_to_multiple, downscale

SUFFIXES = {".png", ".jpg", ".jpeg"}


def list_images(folder: Path) -> list[Path]:
    """Pictures of a folder in name order.

    Raises:
        FileNotFoundError: the folder does not exist or holds no picture.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return found


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 RGB [H, W, 3]."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@dataclass(frozen=True)
class PixelTable:
    """Images laid end to end: `pixels` uint8 [sum of H*W, 3], and each image's start, height and width."""

    pixels: torch.Tensor
    starts: torch.Tensor
    heights: torch.Tensor
    widths: torch.Tensor

    @classmethod
    def of(cls, images: Sequence[npt.NDArray[np.uint8]], device: torch.device) -> "PixelTable":
        heights = torch.tensor([image.shape[0] for image in images])
        widths = torch.tensor([image.shape[1] for image in images])
        areas = heights * widths
        pixels = torch.empty(int(areas.sum()), 3, dtype=torch.uint8)
        starts = torch.cumsum(areas, 0) - areas
        for image, start, area in zip(images, starts.tolist(), areas.tolist(), strict=True):
            pixels[start : start + area] = torch.from_numpy(np.ascontiguousarray(image).reshape(-1, 3))
        return cls(*(tensor.to(device) for tensor in (pixels, starts, heights, widths)))

    def patches(
        self, index: torch.Tensor, tops: torch.Tensor, lefts: torch.Tensor, size: int, dihedral: torch.Tensor
    ) -> torch.Tensor:
        """Squares of `size`, one per entry of `index`: float32 [N, 3, size, size] in 0..255.

        Each is turned by its element of the dihedral group, 0..7: bit 0 flips columns, bit 1 rows, bit 2 transposes.
        """
        ramp = torch.arange(size, device=self.pixels.device)
        rows, columns = torch.meshgrid(ramp, ramp, indexing="ij")
        flip_columns, flip_rows, transpose = ((dihedral[:, None, None] >> bit) & 1 for bit in range(3))
        row = torch.where(transpose == 1, columns, rows)
        column = torch.where(transpose == 1, rows, columns)
        row = torch.where(flip_rows == 1, size - 1 - row, row) + tops[:, None, None]
        column = torch.where(flip_columns == 1, size - 1 - column, column) + lefts[:, None, None]
        flat = self.starts[index][:, None, None] + row * self.widths[index][:, None, None] + column
        return self.pixels[flat].permute(0, 3, 1, 2).float()


class PairSampler:
    """Random aligned (LR, HR) patches in 0..255, x8 dihedral augmentation (section 3.3 of the EDSR paper).

    All randomness comes from `generator`, a CPU generator, so that a saved state resumes the very same sequence.
    """

    def __init__(self, lr: PixelTable, hr: PixelTable, *, scale: int, generator: torch.Generator) -> None:
        self.lr = lr
        self.hr = hr
        self.scale = scale
        self.generator = generator
        # An image is drawn in proportion to its area: every patch is equally likely.
        self._areas = (lr.heights * lr.widths).double().cpu()

    def batch(self, size: int, patch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` pairs: LR [N, 3, patch, patch] and HR [N, 3, scale*patch, scale*patch].

        Raises:
            ValueError: some image is smaller than the patch.
        """
        smallest = int(torch.minimum(self.lr.heights.min(), self.lr.widths.min()))
        if smallest < patch:
            raise ValueError(f"LR patch of {patch} does not fit an LR image with a side of {smallest}")
        index = torch.multinomial(self._areas, size, replacement=True, generator=self.generator)
        fractions = torch.rand(2, size, generator=self.generator, dtype=torch.float64)
        dihedral = torch.randint(8, (size,), generator=self.generator)
        device = self.lr.pixels.device
        index, fractions, dihedral = index.to(device), fractions.to(device), dihedral.to(device)
        tops = (fractions[0] * (self.lr.heights[index] - patch + 1)).long()
        lefts = (fractions[1] * (self.lr.widths[index] - patch + 1)).long()
        scale = self.scale
        return (
            self.lr.patches(index, tops, lefts, patch, dihedral),
            self.hr.patches(index, tops * scale, lefts * scale, patch * scale, dihedral),
        )


def load_pairs(
    folder: Path, *, scale: int, device: torch.device, generator: torch.Generator, limit: int | None = None
) -> PairSampler:
    """Reads every photograph of a folder (or the first `limit`), makes its bicubic LR, and puts both on the device."""
    paths = list_images(folder)[:limit]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        pairs = list(pool.map(_make_pair, paths, [scale] * len(paths), chunksize=4))
    lr, hr = zip(*pairs, strict=True)
    return PairSampler(PixelTable.of(lr, device), PixelTable.of(hr, device), scale=scale, generator=generator)


def _make_pair(path: Path, scale: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    hr = crop_to_multiple(read_rgb(path), scale)
    return downscale(hr, scale), hr
