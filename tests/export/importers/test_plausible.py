"""An imported network that gives garbage is warned about; one that enlarges pictures is not."""

import pytest
import torch
from torch import Tensor

from export.importers import Imported, import_published
from export.importers.plausible import consistency_db, implausible
from models import L2hConfig, MdsrConfig, NetworkConfig, SrresnetConfig
from tests.export.examples import small_config, small_edsr
from tests.export.importers.examples import lively, official, state_file


def imported(config: NetworkConfig) -> Imported:
    return Imported(config, lively(config.build()), {}, ())


def test_a_network_that_gives_garbage_is_warned_about_with_the_residual_scale_it_was_given() -> None:
    garbage = import_published(state_file(official(small_edsr(small_config(2, features=32)))))
    assert "only" in str(implausible(garbage))
    assert "residual scale, taken as 1.0" in str(implausible(garbage))


def test_families_of_several_scales_and_of_other_ranges_are_measured_too() -> None:
    for config in (MdsrConfig(blocks=1, features=4), SrresnetConfig(2, blocks=1, features=4)):
        assert "dB from it" in str(implausible(imported(config)))
    assert "residual scale" not in str(implausible(imported(SrresnetConfig(2, blocks=1, features=4))))


@pytest.mark.parametrize("config", [small_config(3), SrresnetConfig(2, blocks=1, features=4)], ids=lambda c: c.family)
def test_a_network_that_enlarges_pictures_needs_no_warning(config: NetworkConfig) -> None:
    """Made to answer with the very pixels of its input, whatever their range, each as a square."""

    class Nearest(torch.nn.Module):
        def forward(self, lr: Tensor) -> Tensor:
            assert lr.max() <= config.value_range
            return torch.nn.functional.interpolate(lr, scale_factor=config.scales[0])

    assert implausible(Imported(config, Nearest(), {}, ())) is None
    assert consistency_db(Imported(config, Nearest(), {}, ())) > 100


def test_a_network_for_faces_of_one_size_is_not_measured_on_a_photograph() -> None:
    config = L2hConfig(features=4, narrow_features=4, head_features=4, blocks=1, narrow_blocks=1)
    assert implausible(imported(config)) is None
