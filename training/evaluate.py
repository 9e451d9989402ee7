"""A network on images or clips: crop, shrink, super-resolve, compare on Y. The papers' protocol, in one place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from training.data import list_images
from training.metrics import compare, luma, psnr, ssim
from training.resize import crop_to_multiple, downscale

if TYPE_CHECKING:
    from training.frames import Clip  # needs the extra "video"

CLIP_BORDER = 8  # HR pixels cropped from each side of a frame


class Score(NamedTuple):
    """Means over the images of a set."""

    psnr: float
    ssim: float


class Evaluated(NamedTuple):
    """A network of pixels alone, and what its pixels are (see models.config)."""

    network: nn.Module
    input_kind: Literal["rgb", "y", "frames"] = "rgb"
    value_range: float = 255.0


def super_resolve(of: Evaluated, lr: npt.NDArray[np.uint8], device: torch.device) -> npt.NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] to uint8 RGB; rounded half to even, as in the served graph."""
    pixels = torch.from_numpy(np.array(lr)).to(device).permute(2, 0, 1)[None].float()
    answer = _run(of, pixels)[0].permute(1, 2, 0)
    rounded: npt.NDArray[np.uint8] = answer.clamp(0, 255).round().byte().cpu().numpy()
    return rounded


def super_resolve_luma(of: Evaluated, planes: npt.NDArray[np.float64], device: torch.device) -> npt.NDArray[np.float64]:
    """Luma [D, H, W] in 0..255 (D is 1 for an image) to the middle one's [s*H, s*W], in whole numbers."""
    answer = _run(of, torch.from_numpy(planes).to(device)[None].float())[0, 0]
    rounded: npt.NDArray[np.float64] = answer.clamp(0, 255).round().double().cpu().numpy()
    return rounded


@torch.no_grad()
def _run(of: Evaluated, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in 0..255 on both sides, the network in eval mode for once."""
    ratio = of.value_range / 255
    with _eval(of.network):
        sr: torch.Tensor = of.network((pixels * ratio).contiguous(memory_format=torch.channels_last))
    return sr.float() / ratio


@contextmanager
def _eval(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def evaluate(of: Evaluated, folder: Path, *, scale: int, device: torch.device) -> Score:
    """Mean PSNR and SSIM on Y over the images of `folder`, LR by MATLAB bicubic, borders of `scale` pixels cropped.

    A grey image goes through a colour network as three equal channels and is compared as grey, as the papers do. A
    luma network is given the Y of the LR image, unrounded, as it is when served.
    """
    scores = []
    for path in list_images(folder):
        with Image.open(path) as image:
            hr = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        hr = crop_to_multiple(hr, scale)
        lr = downscale(hr, scale)
        if of.input_kind == "y":
            inner = np.s_[scale:-scale, scale:-scale]
            planes = (super_resolve_luma(of, luma(lr)[None], device)[inner], luma(hr)[inner])
            scores.append((psnr(*planes), ssim(*planes)))
        else:
            sr = super_resolve(of, np.stack([lr] * 3, axis=-1) if lr.ndim == 2 else lr, device)
            scores.append(compare(sr if hr.ndim == 3 else sr.mean(axis=-1).round().astype(np.uint8), hr, scale))
    return Score(*np.mean(scores, axis=0).tolist())


def evaluate_clip(network: nn.Module, clip: "Clip", *, device: torch.device, every: int = 1) -> float:
    """Mean PSNR on Y over a clip's windows (every so many), 8 pixels cropped at each border; luma in [0, 1]."""
    of = Evaluated(network, "frames", 1.0)
    inner = np.s_[CLIP_BORDER:-CLIP_BORDER, CLIP_BORDER:-CLIP_BORDER]
    found = []
    for window in clip.windows[::every]:
        sr = super_resolve_luma(of, np.stack([clip.lr[place] for place in window]).astype(np.float64), device)
        hr = clip.hr[window[len(window) // 2]].astype(np.float64)
        found.append(psnr(sr[inner], hr[inner]))
    return mean(found)


def mean(values: Sequence[float]) -> float:
    """Of at least one."""
    return float(np.mean(values))
