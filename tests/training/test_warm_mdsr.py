"""An MDSR that begins as an EDSR gives its pixels at x2, and enlarged ones at x3 and x4."""

from typing import Any

import pytest
import torch

from models import EdsrConfig, MdsrConfig
from models.mdsr import Mdsr
from training.warm_mdsr import begin_mdsr_as_edsr

SIZE: dict[str, Any] = {"blocks": 2, "features": 8}


def begun() -> tuple[Mdsr, torch.nn.Module]:
    torch.manual_seed(0)
    edsr, network = EdsrConfig(2, **SIZE).build().eval(), MdsrConfig(**SIZE).build().eval()
    begin_mdsr_as_edsr(network, edsr)
    return network, edsr


@torch.no_grad()
def test_x2_gives_the_same_pixels() -> None:
    network, edsr = begun()
    lr = torch.rand(2, 3, 9, 7) * 255
    torch.testing.assert_close(network(lr, 2), edsr(lr), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [3, 4])
@torch.no_grad()
def test_the_other_scales_give_a_flat_picture_as_x2_does(scale: int) -> None:
    """Where all pixels of a phase are equal, the means over x3's or x4's blocks are those over x2's."""
    network, edsr = begun()
    lr = torch.rand(1, 3, 1, 1).expand(1, 3, 24, 24) * 255
    inner = slice(8, 16)  # far from what padding reaches
    means = [
        sr.unflatten(3, (24, -1)).unflatten(2, (24, -1)).mean(dim=(3, 5))[..., inner, inner]
        for sr in (network(lr, scale), edsr(lr))
    ]
    torch.testing.assert_close(means[0], means[1], rtol=0, atol=0.5)


@torch.no_grad()
def test_phases_of_x3_lie_between_those_of_x2() -> None:
    network, edsr = begun()
    wanted = edsr.get_parameter("tail.0.0.bias").view(8, 2, 2)
    found = network.upsample[1].get_parameter("0.bias").view(8, 3, 3)
    torch.testing.assert_close(found[:, ::2, ::2], wanted)
    torch.testing.assert_close(found[:, 1, 1], wanted.mean(dim=(1, 2)))
    torch.testing.assert_close(found[:, 0, 1], wanted[:, 0].mean(dim=1))


@pytest.mark.parametrize(
    ("config", "fault"),
    [(EdsrConfig(4, **SIZE), "of x2"), (EdsrConfig(3, **SIZE), "of x2"), (EdsrConfig(2, blocks=1), "other blocks")],
)
def test_another_edsr_is_refused(config: EdsrConfig, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        begin_mdsr_as_edsr(MdsrConfig(**SIZE).build(), config.build())
