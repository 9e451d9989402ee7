"""Photographs come into the tables whole, with the LR that the papers' down-sampler makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.loading import load_pairs, load_table
from training.resize import downscale

CPU = torch.device("cpu")


def write(folder: Path, sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02}.png")
    return images


def test_every_scale_has_its_lr_of_the_same_hr(tmp_path: Path) -> None:
    images = write(tmp_path, [(37, 50), (24, 25), (60, 40)])
    sampler = load_pairs(tmp_path, scales=[2, 3, 4], device=CPU, generator=torch.Generator())
    for image, hr in zip(images, sampler.hr.views(), strict=True):
        height, width = (side // 12 * 12 for side in image.shape[:2])
        assert np.array_equal(hr, image[:height, :width])
    for scale in (2, 3, 4):
        for hr, lr in zip(sampler.hr.views(), sampler.lr[scale].views(), strict=True):
            assert np.array_equal(lr, downscale(hr, scale))


def test_lr_and_hr_show_the_same_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index, size in enumerate([(40, 52), (36, 64)]):
        smooth = np.kron(rng.integers(0, 255, (size[0] // 4, size[1] // 4, 3)), np.ones((4, 4, 1)))
        Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / f"{index}.png")
    sampler = load_pairs(tmp_path, scales=[2], device=CPU, generator=torch.Generator().manual_seed(0))
    lr, hr = sampler.batch(16, 8)
    assert lr.shape == (16, 3, 8, 8)
    assert hr.shape == (16, 3, 16, 16)
    for small, large in zip(lr, hr, strict=True):
        own = downscale(large.permute(1, 2, 0).byte().numpy(), 2).astype(float)
        inside = np.s_[3:-3, 3:-3]  # the patch's own border was not the image's
        assert np.abs(own[inside] - small.permute(1, 2, 0).numpy()[inside]).max() <= 1


def test_a_limit_takes_the_first_in_name_order(tmp_path: Path) -> None:
    images = write(tmp_path, [(8, 8), (10, 12), (6, 6)])
    table = load_table([tmp_path], device=CPU, limit=2)
    assert [view.shape[:2] for view in table.views()] == [(8, 8), (10, 12)]
    assert np.array_equal(table.views()[1], images[1])


def test_several_folders_are_one_table(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [(5, 6)])
    assert len(load_table([tmp_path / "one", tmp_path / "two"], device=CPU).views()) == 2


def test_a_damaged_photograph_stops_the_loading(tmp_path: Path) -> None:
    write(tmp_path, [(40, 40)])
    whole = (tmp_path / "00.png").read_bytes()
    (tmp_path / "00.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"truncated|broken"):
        load_pairs(tmp_path, scales=[2], device=CPU, generator=torch.Generator())
