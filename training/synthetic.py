"""Windows with known motion, made from photographs: the same place, moved by whole HR pixels from frame to frame.

Nothing is interpolated: an HR frame is a crop of the photograph, its LR the papers' bicubic of that crop, and a motion
of n HR pixels is one of n / scale LR pixels, exactly. LR patches equal those of whole frames bit for bit, because the
crops are made larger by what the bicubic kernel reaches.
"""

import math

import torch

from training.data import Draw, PixelTable
from training.metrics import LUMA_OFFSET, LUMA_WEIGHTS
from training.resize import numerators, reach


class MotionSampler:
    """As `training.frames.WindowSampler`, from a table of RGB photographs.

    Every window moves at its own constant velocity, up to `speed` LR pixels per frame along each axis, plus up to one
    HR pixel of shake in each neighbour.
    """

    def __init__(self, table: PixelTable, *, scale: int, frames: int, speed: float, generator: torch.Generator) -> None:
        self.table = table
        self.scale = scale
        self.frames = frames
        self.speed = speed
        self.generator = generator

    def batch(self, size: int, patch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """LR [N, D, p, p] and the middle frame's HR [N, 1, s*p, s*p], luma in 0..255, rounded.

        Raises:
            ValueError: some photograph is smaller than a window's path.
        """
        paths = self.paths(size)
        room = math.ceil(self.speed * self.scale) * (self.frames // 2) + 1
        border = reach(self.scale)
        crop = patch * self.scale + 2 * border
        draw = Draw.of(self.table, size, 8, self.generator)
        tops, lefts = draw.corners(self.table, crop + 2 * room)
        frames = []
        for rows, columns in paths.to(tops.device).unbind(1):  # frame by frame, [2, N]
            corner = (tops + room + rows, lefts + room + columns)
            frames.append(_luma(self.table.patches(draw.index, *corner, crop, draw.dihedral)))
        middle = frames[self.frames // 2]
        lr = torch.cat([shrink(frame, self.scale) for frame in frames], dim=1)
        return lr, middle[:, :, border:-border, border:-border]

    def paths(self, size: int) -> torch.Tensor:
        """Where each frame is, in HR pixels from the middle one: whole numbers [2, D, N], rows before columns."""
        most = self.speed * self.scale
        velocity = (torch.rand(2, 1, size, generator=self.generator) * 2 - 1) * most
        shake = torch.randint(-1, 2, (2, self.frames, size), generator=self.generator)
        times = (torch.arange(self.frames) - self.frames // 2).view(1, -1, 1)
        return torch.round(velocity * times).long() + shake * (times != 0)


def shrink(images: torch.Tensor, scale: int) -> torch.Tensor:
    """MATLAB's bicubic of [N, C, s*p + 2r, s*p + 2r] with r = `reach(scale)`, whole numbers 0..255, to [N, C, p, p].

    The same as `training.resize.downscale` of a larger image, there: float64, because a GPU may round float32 factors.
    """
    outputs = (images.shape[-1] - 2 * reach(scale)) // scale
    weights, denominator = numerators(scale, outputs)
    matrix = torch.from_numpy(weights).double().to(images.device)
    rows = _rounded(matrix @ images.double() / denominator)
    return _rounded(rows @ matrix.T / denominator).float()


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return torch.floor(values + 0.5).clamp(0, 255)


def _luma(pixels: torch.Tensor) -> torch.Tensor:
    """RGB [N, 3, H, W] in 0..255 to Y [N, 1, H, W] as a video stores it: whole numbers in studio range."""
    weights = torch.tensor(LUMA_WEIGHTS, device=pixels.device).view(1, 3, 1, 1)
    return torch.round((pixels * weights).sum(dim=1, keepdim=True) / 255 + LUMA_OFFSET)
