"""How weights trained elsewhere score on one Set5 image: the check that a network is the one its paper describes."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tests.data_folder import require
from training.metrics import luma, psnr


def weights(name: str) -> dict[str, Tensor]:
    """A file of published weights, or a skip."""
    tensors: dict[str, Tensor] = torch.load(require("weights", name), weights_only=True)
    return tensors


def psnr_on_butterfly(network: nn.Module, scale: int, *, value_range: float) -> float:
    """PSNR-Y in dB, borders of `scale` pixels left out; LR by Pillow's bicubic, as the scores in the data's README."""
    hr = _crop(require("benchmarks", "Set5", "HR", "butterfly.png"), scale)
    small = Image.fromarray(hr).resize((hr.shape[1] // scale, hr.shape[0] // scale), Image.Resampling.BICUBIC)
    lr = torch.from_numpy(np.array(small)).permute(2, 0, 1).unsqueeze(0) * (value_range / 255)
    with torch.no_grad():
        sr = network(lr) * (255 / value_range)
    answer = sr[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()
    inner = np.s_[scale:-scale, scale:-scale]
    return psnr(luma(answer)[inner], luma(hr)[inner])


def _crop(path: Path, scale: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = np.array(Image.open(path).convert("RGB"))
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
