"""ESPCN is the paper's three layers."""

import pytest
import torch
from torch import nn

from models import EspcnConfig
from models.config import count_parameters


@pytest.mark.parametrize(
    ("scale", "parameters", "macs"), [(2, 21_284, 21_184), (3, 22_729, 22_624), (4, 24_752, 24_640)]
)
def test_counts_are_the_papers(scale: int, parameters: int, macs: int) -> None:
    config = EspcnConfig(scale)
    assert count_parameters(config.build()) == parameters
    assert config.macs_per_lr_pixel(scale) == macs
    assert config.halo_exact == 4


def test_it_is_two_tanh_layers_and_a_linear_one() -> None:
    kinds = [type(layer) for layer in EspcnConfig(3).build()]
    assert kinds == [nn.Conv2d, nn.Tanh, nn.Conv2d, nn.Tanh, nn.Conv2d, nn.PixelShuffle]


def test_it_works_on_luma() -> None:
    config = EspcnConfig(2)
    assert (config.input_kind, config.input_channels, config.output_channels) == ("y", 1, 1)
    assert config.build()(torch.rand(2, 1, 5, 6)).shape == (2, 1, 10, 12)


def test_other_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="not 8"):
        EspcnConfig(8)
