"""Quality is measured through HTTP, and the same as without it."""

from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea

from benchmarks.quality import Row, measure, over_http, run, served_scales, table
from training.metrics import compare
from training.resize import crop_to_multiple, downscale, resize


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(chelsea()[100:171, 120:203]).save(tmp_path / "colour.png")
    Image.fromarray(chelsea()[100:164, 120:203, 1]).save(tmp_path / "grey.png")
    return tmp_path


def test_a_served_model_scores_what_its_pixels_score(client: httpx2.Client, folder: Path) -> None:
    scores = []
    for path in sorted(folder.iterdir()):
        hr = crop_to_multiple(np.asarray(Image.open(path)), 2)
        scores.append(compare(downscale(hr, 2).repeat(2, axis=0).repeat(2, axis=1), hr, border=2))
    images, psnr, ssim = measure(folder, 2, over_http(client, "nearest", 2))
    assert images == 2
    assert (psnr, ssim) == pytest.approx(tuple(np.mean(scores, axis=0)))


def test_bicubic_stands_beside_every_model(client: httpx2.Client, folder: Path) -> None:
    rows = run(client, [folder], models=["nearest", "blur"], scales=[2, 3])
    assert [(row.method, row.scale) for row in rows] == [
        ("bicubic", 2),
        ("blur", 2),
        ("nearest", 2),
        ("bicubic", 3),
        ("nearest", 3),
    ]
    by_hand = measure(folder, 2, lambda lr: resize(lr, lr.shape[0] * 2, lr.shape[1] * 2))
    assert rows[0][3:] == pytest.approx(by_hand)
    assert rows[0].psnr > rows[2].psnr


def test_the_ensemble_stands_beside_its_model_under_the_papers_name(client: httpx2.Client, folder: Path) -> None:
    rows = run(client, [folder], models=["oriented"], scales=None, ensemble=True)
    assert [row.method for row in rows] == ["bicubic", "oriented", "oriented+"]
    assert rows[2].psnr > rows[1].psnr  # the mean of the orientations shifts nothing


def test_a_refusal_is_an_error_with_its_reason(client: httpx2.Client, folder: Path) -> None:
    with pytest.raises(httpx2.HTTPStatusError, match="unsupported-scale"):
        measure(folder, 5, over_http(client, "nearest", 5))


def test_models_that_are_unknown_or_take_one_size_only_are_named(client: httpx2.Client) -> None:
    with pytest.raises(ValueError, match=r"cannot be measured: edsr, fixed; can: blocks, blur, clip, nearest"):
        served_scales(client, ["edsr", "fixed", "nearest"])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no images"):
        measure(tmp_path, 2, lambda lr: lr)


def test_the_table_is_markdown() -> None:
    lines = table([Row("Set5", "edsr", 4, 5, 32.094, 0.89381)]).splitlines()
    assert lines[2] == "| Set5 | 5 | x4 | edsr | 32.09 | 0.8938 |"
