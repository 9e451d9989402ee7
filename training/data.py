"""Training pairs: photographs as one table of pixels, patches as index arithmetic, so that it all can sit on a GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

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
    """Images laid end to end: `pixels` uint8 [sum of H*W, C], and each image's start, height and width."""

    pixels: torch.Tensor
    starts: torch.Tensor
    heights: torch.Tensor
    widths: torch.Tensor

    @classmethod
    def empty(cls, sizes: Sequence[tuple[int, int]], channels: int = 3) -> "PixelTable":
        """Room for images of these (height, width), on the CPU, to be filled through `views`."""
        heights, widths = (torch.tensor(values) for values in zip(*sizes, strict=True))
        areas = heights * widths
        pixels = torch.empty(int(areas.sum()), channels, dtype=torch.uint8)
        return cls(pixels, torch.cumsum(areas, 0) - areas, heights, widths)

    @classmethod
    def of(cls, images: Sequence[npt.NDArray[np.uint8]], device: torch.device) -> "PixelTable":
        """A copy of uint8 images [H, W, C] or [H, W]."""
        channels = images[0].shape[2] if images[0].ndim == 3 else 1
        table = cls.empty([image.shape[:2] for image in images], channels)
        for view, image in zip(table.views(), images, strict=True):
            view[:] = image.reshape(view.shape)
        return table.to(device)

    def views(self) -> list[npt.NDArray[np.uint8]]:
        """Each image [H, W, C], writable; on the CPU only."""
        pixels = self.pixels.numpy()
        places = zip(self.starts.tolist(), self.heights.tolist(), self.widths.tolist(), strict=True)
        return [pixels[start : start + height * width].reshape(height, width, -1) for start, height, width in places]

    def to(self, device: torch.device) -> "PixelTable":
        return PixelTable(*(value.to(device) for value in (self.pixels, self.starts, self.heights, self.widths)))

    @property
    def areas(self) -> torch.Tensor:
        """Pixels of each image, on the CPU: weights to draw images by, so that every patch is equally likely."""
        return (self.heights * self.widths).double().cpu()

    @property
    def smallest_side(self) -> int:
        return int(torch.minimum(self.heights.min(), self.widths.min()))

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


@dataclass(frozen=True)
class Draw:
    """Which image, where in it (fractions of what the patch leaves free) and which turn: one entry per patch."""

    index: torch.Tensor
    fractions: torch.Tensor
    dihedral: torch.Tensor

    @classmethod
    def of(cls, table: PixelTable, size: int, turns: int, generator: torch.Generator) -> "Draw":
        """`size` draws from a CPU generator; `turns` 8 is the dihedral group, 2 mirrors, 1 changes nothing."""
        index = torch.multinomial(table.areas, size, replacement=True, generator=generator)
        fractions = torch.rand(2, size, generator=generator, dtype=torch.float64)
        dihedral = torch.randint(turns, (size,), generator=generator)
        device = table.pixels.device
        return cls(index.to(device), fractions.to(device), dihedral.to(device))

    def corners(self, table: PixelTable, patch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Top and left of each patch in `table`.

        Raises:
            ValueError: some image is smaller than the patch.
        """
        if table.smallest_side < patch:
            raise ValueError(f"a patch of {patch} does not fit an image with a side of {table.smallest_side}")
        tops = (self.fractions[0] * (table.heights[self.index] - patch + 1)).long()
        lefts = (self.fractions[1] * (table.widths[self.index] - patch + 1)).long()
        return tops, lefts


class PairSampler:
    """Random aligned (LR, HR) patches in 0..255, x8 dihedral augmentation (section 3.3 of the EDSR paper).

    `lr` holds one table per scale. All randomness comes from `generator`, a CPU generator, so that a saved state
    resumes the very same sequence.
    """

    def __init__(self, lr: Mapping[int, PixelTable], hr: PixelTable, *, generator: torch.Generator) -> None:
        self.lr = dict(lr)
        self.hr = hr
        self.generator = generator

    def draw_scale(self) -> int:
        """One of the scales, all equally likely; a single one costs no random number."""
        scales = sorted(self.lr)
        if len(scales) == 1:
            return scales[0]
        return scales[int(torch.randint(len(scales), (), generator=self.generator))]

    def batch(self, size: int, patch: int, scale: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` pairs: LR [N, 3, patch, patch] and HR [N, 3, scale*patch, scale*patch]; `scale` None: the only one.

        Raises:
            ValueError: some image is smaller than the patch.
        """
        scale = self.draw_scale() if scale is None else scale
        lr = self.lr[scale]
        draw = Draw.of(lr, size, 8, self.generator)
        tops, lefts = draw.corners(lr, patch)
        return (
            lr.patches(draw.index, tops, lefts, patch, draw.dihedral),
            self.hr.patches(draw.index, tops * scale, lefts * scale, patch * scale, draw.dihedral),
        )


class CropSampler:
    """Random crops of one domain in 0..255; `turns` as in `Draw.of` (2 for faces, which are never upside down)."""

    def __init__(self, table: PixelTable, *, turns: int, generator: torch.Generator) -> None:
        self.table = table
        self.turns = turns
        self.generator = generator

    def batch(self, size: int, crop: int) -> torch.Tensor:
        """`size` crops [N, C, crop, crop].

        Raises:
            ValueError: some image is smaller than the crop.
        """
        draw = Draw.of(self.table, size, self.turns, self.generator)
        tops, lefts = draw.corners(self.table, crop)
        return self.table.patches(draw.index, tops, lefts, crop, draw.dihedral)
