"""PSNR and SSIM are the papers'."""

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut
from skimage.metrics import structural_similarity

from tests.data_folder import require
from training.metrics import compare, luma, psnr, ssim
from training.resize import crop_to_multiple, downscale, resize

PUBLISHED_BICUBIC = {  # (Set5, x): the figures of the papers' tables
    2: (33.66, 0.9299),
    3: (30.39, 0.8682),
    4: (28.42, 0.8104),
}


def test_luma_of_white_black_and_primaries() -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    assert luma(colours)[0] == pytest.approx([235, 16, 81.481, 144.553, 40.966])


def test_a_grey_picture_is_its_own_luma() -> None:
    assert luma(np.array([[0, 255]], dtype=np.uint8)).tolist() == [[0.0, 255.0]]


def test_psnr_by_hand() -> None:
    hr = np.zeros((4, 4))
    sr = hr.copy()
    sr[0, 0] = 4  # mean squared error 1
    assert psnr(sr, hr) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(hr, hr) == float("inf")


def test_ssim_agrees_with_scikit_image() -> None:
    hr = luma(astronaut()[100:200, 150:260])
    sr = hr + np.random.default_rng(0).normal(0, 8, hr.shape)
    reference = structural_similarity(
        sr, hr, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )[1][5:-5, 5:-5].mean()
    assert ssim(sr, hr) == pytest.approx(float(reference), abs=1e-6)
    assert ssim(hr, hr) == pytest.approx(1.0)


def test_only_the_inside_is_compared() -> None:
    hr = astronaut()[:40, :40]
    sr = hr.copy()
    sr[:2] = 0
    sr[:, -2:] = 255
    assert compare(sr, hr, border=2)[0] == float("inf")
    assert compare(sr, hr, border=1)[0] < 30


def test_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(np.zeros((4, 4)), np.zeros((4, 4)))


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_on_set5_scores_what_the_papers_print(scale: int) -> None:
    scores = []
    for path in sorted(require("benchmarks", "Set5", "HR").glob("*.png")):
        hr = crop_to_multiple(np.asarray(Image.open(path).convert("RGB")), scale)
        sr = resize(downscale(hr, scale), *hr.shape[:2])
        scores.append(compare(sr, hr, border=scale))
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(PUBLISHED_BICUBIC[scale][0], abs=0.02)
    assert mean_ssim == pytest.approx(PUBLISHED_BICUBIC[scale][1], abs=0.002)
