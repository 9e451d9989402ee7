"""Patches come from the right places, turned alike in LR and HR."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.data import PairSampler, PixelTable, list_images, load_pairs
from training.resize import downscale

CPU = torch.device("cpu")


def numbered(height: int, width: int, start: int = 0) -> np.ndarray:
    """A picture in which every pixel is different."""
    values = np.arange(start, start + height * width, dtype=np.uint32).reshape(height, width)
    return np.stack([values % 251, values // 251 % 251, np.full_like(values, start % 251)], axis=-1).astype(np.uint8)


def test_a_patch_is_cut_where_it_was_asked_for() -> None:
    images = [numbered(7, 9), numbered(8, 6, start=100)]
    table = PixelTable.of(images, CPU)
    index, top, left = (torch.tensor([value]) for value in (1, 2, 3))
    patch = table.patches(index, top, left, 3, torch.tensor([0]))
    assert np.array_equal(patch[0].permute(1, 2, 0).numpy(), images[1][2:5, 3:6])


@pytest.mark.parametrize("element", range(8))
def test_all_eight_turns_of_the_dihedral_group_are_exact(element: int) -> None:
    image = numbered(6, 6)
    table = PixelTable.of([image], CPU)
    zero = torch.tensor([0])
    got = table.patches(zero, zero, zero, 6, torch.tensor([element]))[0].permute(1, 2, 0).numpy()
    expected = image
    if element & 2:
        expected = expected[::-1]
    if element & 1:
        expected = expected[:, ::-1]
    if element & 4:
        expected = expected.transpose(1, 0, 2)
    assert np.array_equal(got, expected)


def test_the_eight_turns_are_all_different() -> None:
    table = PixelTable.of([numbered(4, 4)], CPU)
    zeros = torch.zeros(8, dtype=torch.long)
    patches = table.patches(zeros, zeros, zeros, 4, torch.arange(8))
    assert len({patch.numpy().tobytes() for patch in patches}) == 8


def test_lr_and_hr_show_the_same_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index, size in enumerate([(40, 52), (36, 64)]):
        smooth = np.kron(rng.integers(0, 255, (size[0] // 4, size[1] // 4, 3)), np.ones((4, 4, 1)))
        Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / f"{index}.png")
    sampler = load_pairs(tmp_path, scale=2, device=CPU, generator=torch.Generator().manual_seed(0))
    lr, hr = sampler.batch(16, 8)
    assert lr.shape == (16, 3, 8, 8)
    assert hr.shape == (16, 3, 16, 16)
    for small, large in zip(lr, hr, strict=True):
        own = downscale(large.permute(1, 2, 0).byte().numpy(), 2).astype(float)
        inside = np.s_[3:-3, 3:-3]  # the patch's own border was not the image's
        assert np.abs(own[inside] - small.permute(1, 2, 0).numpy()[inside]).max() <= 1


def test_the_same_seed_gives_the_same_patches() -> None:
    def draw() -> torch.Tensor:
        table = PixelTable.of([numbered(20, 20)], CPU)
        large = PixelTable.of([numbered(40, 40)], CPU)
        return PairSampler(table, large, scale=2, generator=torch.Generator().manual_seed(3)).batch(4, 6)[1]

    assert torch.equal(draw(), draw())


def test_images_are_drawn_in_proportion_to_their_area() -> None:
    flat = [np.full((side, side, 3), value, dtype=np.uint8) for side, value in ((30, 0), (10, 255))]
    sampler = PairSampler(
        PixelTable.of(flat, CPU),
        PixelTable.of(flat, CPU),
        scale=1,
        generator=torch.Generator().manual_seed(0),
    )
    lr, _ = sampler.batch(4000, 1)
    assert float((lr[:, 0] > 0).float().mean()) == pytest.approx(0.1, abs=0.02)


def test_a_patch_larger_than_an_image_is_refused() -> None:
    table = PixelTable.of([numbered(10, 20)], CPU)
    sampler = PairSampler(table, table, scale=1, generator=torch.Generator())
    with pytest.raises(ValueError, match="patch of 12 does not fit an LR image with a side of 10"):
        sampler.batch(1, 12)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no pictures"):
        list_images(tmp_path)
