"""Multiply-adds are counted on what is traced: borders left out, every family's own count met."""

import pytest
from torch import Tensor, nn

from export.collapse import collapsed
from export.count import macs_per_lr_pixel
from export.pixels import with_pixels
from models import EdsrConfig, NetworkConfig
from service.manifest import Manifest
from tests import oracles
from tests.export.cases import CASES, SCALED


def facts(config: NetworkConfig, scale: int) -> Manifest:
    return oracles.manifest(
        "test",
        scale=scale,
        pixels="uint8",
        input=config.input_kind,
        frame_window=config.frame_window,
        direction=config.direction,
        noise=getattr(config, "noise", "none"),
        fixed_size=config.fixed_size,
    )


def counted(network: nn.Module, config: NetworkConfig, scale: int) -> int:
    return macs_per_lr_pixel(with_pixels(network, config=config, scale=scale, pixels="uint8"), facts(config, scale))


@pytest.mark.parametrize(("name", "scale"), SCALED, ids=[f"{name} x{scale}" for name, scale in SCALED])
def test_a_network_as_written_costs_what_its_config_says_and_its_colour(name: str, scale: int) -> None:
    config = CASES[name]
    colour = 0 if config.input_kind == "rgb" else 3 * config.frame_window + 25 * 3 * 3 * scale * scale
    assert counted(config.at_scale(config.build(), scale), config, scale) == config.macs_per_lr_pixel(scale) + colour


def test_a_collapsed_tail_costs_one_convolution_and_its_border_nothing() -> None:
    config = EdsrConfig(4)
    assert counted(config.build(), config, 4) == 1_983_168
    assert counted(collapsed(config.build()), config, 4) == 1_983_168 - 764_928 + 5 * 5 * 64 * 48


def test_what_runs_at_the_border_only_is_not_counted() -> None:
    class WithFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.frame = nn.Conv2d(3, 12, 1), nn.Conv2d(3, 3, 3, padding=1)
            self.shuffle = nn.PixelShuffle(2)

        def forward(self, lr: Tensor) -> Tensor:
            self.frame(lr[:, :, :2])
            self.frame(lr[..., -3:])
            larger: Tensor = self.shuffle(self.inside(lr))
            return larger

    assert counted(WithFrame(), EdsrConfig(2), 2) == 3 * 12
