"""Patches come from the right places, turned alike in LR and HR."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data import CropSampler, PairSampler, PixelTable, list_images

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


def test_the_same_seed_gives_the_same_patches() -> None:
    def draw() -> torch.Tensor:
        table = PixelTable.of([numbered(20, 20)], CPU)
        large = PixelTable.of([numbered(40, 40)], CPU)
        return PairSampler({2: table}, large, generator=torch.Generator().manual_seed(3)).batch(4, 6)[1]

    assert torch.equal(draw(), draw())


def test_images_are_drawn_in_proportion_to_their_area() -> None:
    flat = [np.full((side, side, 3), value, dtype=np.uint8) for side, value in ((30, 0), (10, 255))]
    table = PixelTable.of(flat, CPU)
    sampler = PairSampler({1: table}, table, generator=torch.Generator().manual_seed(0))
    lr, _ = sampler.batch(4000, 1)
    assert float((lr[:, 0] > 0).float().mean()) == pytest.approx(0.1, abs=0.02)


def test_one_scale_costs_no_random_number_and_several_are_equally_likely() -> None:
    table = PixelTable.of([numbered(4, 4)], CPU)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert PairSampler({3: table}, table, generator=generator).draw_scale() == 3
    assert torch.equal(generator.get_state(), before)
    several = PairSampler({2: table, 4: table, 3: table}, table, generator=generator)
    drawn = [several.draw_scale() for _ in range(600)]
    assert all(drawn.count(scale) == pytest.approx(200, abs=40) for scale in (2, 3, 4))


@pytest.mark.parametrize(("turns", "kinds"), [(1, 1), (2, 2), (8, 8)])
def test_crops_are_turned_as_far_as_is_wanted(turns: int, kinds: int) -> None:
    sampler = CropSampler(PixelTable.of([numbered(5, 5)], CPU), turns=turns, generator=torch.Generator().manual_seed(1))
    crops = sampler.batch(100, 5)
    assert len({crop.numpy().tobytes() for crop in crops}) == kinds
    assert any(np.array_equal(crop.permute(1, 2, 0).numpy(), numbered(5, 5)) for crop in crops)


def test_a_grey_image_is_a_table_of_one_channel() -> None:
    image = numbered(5, 7)[..., 0]
    table = PixelTable.of([image], CPU)
    assert table.pixels.shape == (35, 1)
    assert np.array_equal(table.views()[0][..., 0], image)


def test_a_patch_larger_than_an_image_is_refused() -> None:
    table = PixelTable.of([numbered(10, 20)], CPU)
    sampler = PairSampler({1: table}, table, generator=torch.Generator())
    with pytest.raises(ValueError, match="patch of 12 does not fit an image with a side of 10"):
        sampler.batch(1, 12)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no pictures"):
        list_images(tmp_path)
