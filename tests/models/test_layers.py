"""Padding to a grid and cropping back."""

import pytest
import torch

from models.layers import crop, pad_to_multiple


@pytest.mark.parametrize(("size", "padded"), [((4, 8), (4, 8)), ((5, 7), (8, 8)), ((1, 1), (4, 4))], ids=str)
def test_padding_repeats_the_last_row_and_column(size: tuple[int, int], padded: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    larger = pad_to_multiple(image, 4)
    extra = (0, padded[1] - size[1], 0, padded[0] - size[0])
    assert torch.equal(larger, torch.nn.functional.pad(image, extra, mode="replicate"))
    assert torch.equal(crop(larger, *size), image)
