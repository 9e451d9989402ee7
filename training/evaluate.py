"""A network on a folder of HR images: crop, shrink, super-resolve, compare on Y. The papers' protocol, in one place."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from training.data import list_images
from training.metrics import compare
from training.resize import crop_to_multiple, downscale


class Score(NamedTuple):
    """Means over the images of a set."""

    psnr: float
    ssim: float


@torch.no_grad()
def super_resolve(network: nn.Module, lr: npt.NDArray[np.uint8], device: torch.device) -> npt.NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] through a network of value range 255; rounded half to even, as in the served graph."""
    pixels = torch.from_numpy(np.array(lr)).to(device).permute(2, 0, 1)[None].float()
    sr: torch.Tensor = network(pixels.contiguous(memory_format=torch.channels_last))
    rounded: npt.NDArray[np.uint8] = sr[0].permute(1, 2, 0).clamp(0, 255).round().byte().cpu().numpy()
    return rounded


def evaluate(network: nn.Module, folder: Path, *, scale: int, device: torch.device) -> Score:
    """Mean PSNR and SSIM on Y over the images of `folder`, LR by MATLAB bicubic, borders of `scale` pixels cropped.

    A grey image goes through the network as three equal channels and is compared as grey, as the papers do.
    """
    scores = []
    for path in list_images(folder):
        with Image.open(path) as image:
            hr = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        hr = crop_to_multiple(hr, scale)
        lr = downscale(hr, scale)
        sr = super_resolve(network, np.stack([lr] * 3, axis=-1) if lr.ndim == 2 else lr, device)
        scores.append(compare(sr if hr.ndim == 3 else sr.mean(axis=-1).round().astype(np.uint8), hr, scale))
    return Score(*np.mean(scores, axis=0).tolist())
