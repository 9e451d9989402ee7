"""Networks are scored as the papers do, colour, luma and clips alike."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from torch import nn

from tests.data_folder import require
from training.evaluate import Evaluated, evaluate, evaluate_clip
from training.frames import Clip, around
from training.metrics import luma, psnr
from training.resize import crop_to_multiple, downscale, resize

CPU = torch.device("cpu")


class Nearest(nn.Module):
    """Pixels twice as large; of a window the middle frame's."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        middle = lr if lr.shape[1] != 5 else lr[:, 2:3]
        return nn.functional.interpolate(middle, scale_factor=2, mode="nearest")


def twice(plane: np.ndarray) -> npt.NDArray[np.float64]:
    return np.kron(plane, np.ones((2, 2))).astype(np.float64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(astronaut()[:61, :50]).save(tmp_path / "colour.png")
    Image.fromarray(astronaut()[:61, :50, 0]).save(tmp_path / "grey.png")
    return tmp_path


def test_a_network_is_scored_on_a_folder(folder: Path) -> None:
    score = evaluate(Evaluated(Nearest()), folder, scale=2, device=CPU)
    assert 20 < score.psnr < 35
    assert 0.5 < score.ssim < 1


def test_the_value_range_does_not_matter(folder: Path) -> None:
    expected = evaluate(Evaluated(Nearest()), folder, scale=2, device=CPU)
    assert evaluate(Evaluated(Nearest(), value_range=1.0), folder, scale=2, device=CPU) == pytest.approx(expected)


def test_a_luma_network_is_given_luma_and_scored_on_it(folder: Path) -> None:
    score = evaluate(Evaluated(Nearest(), "y", 1.0), folder, scale=2, device=CPU)
    found = []
    for name in ("colour", "grey"):
        hr = crop_to_multiple(np.asarray(Image.open(folder / f"{name}.png")), 2)
        sr = np.rint(twice(luma(downscale(hr, 2))))
        found.append(psnr(sr[2:-2, 2:-2], luma(hr)[2:-2, 2:-2]))
    assert score.psnr == pytest.approx(np.mean(found), abs=1e-3)


def test_networks_with_batch_norm_are_scored_in_eval_mode(folder: Path) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), Nearest())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(Evaluated(network), folder, scale=2, device=CPU)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_clip_is_scored_on_its_middle_frames() -> None:
    hr = [np.ascontiguousarray(astronaut()[top : top + 60, :80, 1]) for top in range(0, 30, 10)]
    lr = [downscale(frame, 2) for frame in hr]
    clip = Clip(lr, hr, around(np.arange(3), 5, 3))
    expected = [
        psnr(twice(small)[8:-8, 8:-8], large[8:-8, 8:-8].astype(float)) for small, large in zip(lr, hr, strict=True)
    ]
    assert evaluate_clip(Nearest(), clip, device=CPU) == pytest.approx(np.mean(expected), abs=1e-3)
    assert evaluate_clip(Nearest(), clip, device=CPU, every=2) == pytest.approx(
        (expected[0] + expected[2]) / 2, abs=1e-3
    )


@pytest.mark.data
def test_bicubic_as_a_luma_network_scores_what_the_papers_print() -> None:
    class Bicubic(nn.Module):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            plane = (lr[0, 0] * 255).round().byte().numpy()
            return torch.from_numpy(resize(plane, 3 * plane.shape[0], 3 * plane.shape[1]))[None, None] / 255

    score = evaluate(Evaluated(Bicubic(), "y", 1.0), require("benchmarks", "Set5", "HR"), scale=3, device=CPU)
    assert score.psnr == pytest.approx(30.39, abs=0.05)
