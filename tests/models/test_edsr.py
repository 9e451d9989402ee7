"""EDSR is the paper's network: layers, counts, receptive radius, official names."""

import pytest
import torch

from models import FAMILIES, EdsrConfig
from models.config import count_parameters
from models.edsr import start_from
from models.layers import ResidualBlock


def full(scale: int) -> EdsrConfig:
    """The paper's full network."""
    return EdsrConfig(scale, blocks=32, features=256, residual_scale=0.1)


@pytest.mark.parametrize(
    ("config", "trainable", "stored", "tensors"),
    [
        (EdsrConfig(2), 1_369_859, 1_369_883, 76),
        (EdsrConfig(3), 1_554_499, 1_554_523, 76),
        (EdsrConfig(4), 1_517_571, 1_517_595, 78),
        (EdsrConfig(8), 1_665_283, 1_665_307, 80),
        (full(2), 40_729_603, 40_729_627, 140),
        (full(3), 43_680_003, 43_680_027, 140),
        (full(4), 43_089_923, 43_089_947, 142),
        (full(8), 45_450_243, 45_450_267, 144),
    ],
    ids=str,
)
def test_counts_are_the_papers(config: EdsrConfig, trainable: int, stored: int, tensors: int) -> None:
    with torch.device("meta"):
        network = config.build()
    state = network.state_dict()
    assert count_parameters(network) == trainable
    assert sum(tensor.numel() for tensor in state.values()) == stored
    assert len(state) == tensors


@pytest.mark.parametrize(
    ("config", "macs"),
    [
        (EdsrConfig(2), 1_372_608),
        (EdsrConfig(3), 1_565_568),
        (EdsrConfig(4), 1_983_168),
        (full(2), 40_732_416),
        (full(3), 43_716_096),
        (full(4), 50_252_544),
    ],
    ids=str,
)
def test_multiply_adds_are_the_papers(config: EdsrConfig, macs: int) -> None:
    assert config.macs_per_lr_pixel(config.scale) == macs


@pytest.mark.parametrize("config", [EdsrConfig(2, blocks=2, features=8), EdsrConfig(4, blocks=1, features=8)], ids=str)
def test_multiply_adds_agree_with_the_convolutions_that_run(config: EdsrConfig) -> None:
    network = config.build()
    counted = 0

    def count(module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(module, torch.nn.Conv2d)
        counted += output[0].numel() * module.in_channels * module.kernel_size[0] * module.kernel_size[1]

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, 5, 7))
    assert counted == config.macs_per_lr_pixel(config.scale) * 5 * 7


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_output_is_scale_times_larger(scale: int) -> None:
    network = EdsrConfig(scale, blocks=1, features=8).build()
    assert network(torch.zeros(2, 3, 5, 7)).shape == (2, 3, 5 * scale, 7 * scale)


@pytest.mark.parametrize(
    "config",
    [EdsrConfig(scale, blocks=blocks, features=8) for scale in (2, 3, 4, 8) for blocks in (1, 4)]
    + [EdsrConfig(4, features=8), EdsrConfig(2, blocks=32, features=8, residual_scale=0.1)],
    ids=str,
)
def test_an_sr_pixel_sees_lr_pixels_exactly_up_to_halo_exact(config: EdsrConfig) -> None:
    """Positive weights, so that no gradient cancels; every SR pixel of one LR pixel, so that the widest counts."""
    halo, scale = config.halo_exact, config.scale
    side = 2 * halo + 5
    centre = side // 2
    network = config.build().double()
    for parameter in network.parameters():
        parameter.data = torch.rand_like(parameter) * 0.1 + 0.01
    network.sub_mean.bias.data.zero_()
    lr = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    cell = network(lr)[..., centre * scale : (centre + 1) * scale, centre * scale : (centre + 1) * scale]
    (gradient,) = torch.autograd.grad(cell.sum(), lr)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    for reached in (rows, columns):
        assert centre - int(reached.min()) == halo
        assert int(reached.max()) - centre == halo


def test_the_baseline_has_the_published_receptive_radius() -> None:
    assert {EdsrConfig(scale).halo_exact for scale in (2, 3, 4, 8)} == {36}
    assert full(2).halo_exact == 68


def test_names_are_those_of_the_official_repository() -> None:
    names = set(EdsrConfig(4, blocks=2, features=8).build().state_dict())
    modules = [
        *("sub_mean", "head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2", "body.2"),
        *("tail.0.0", "tail.0.2", "tail.1", "add_mean"),
    ]
    assert names == {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}


def test_mean_is_subtracted_before_the_first_convolution_pads() -> None:
    network = EdsrConfig(2, blocks=1, features=4).build()
    assert network.sub_mean.bias.tolist() == pytest.approx([-114.444, -111.4605, -103.02], abs=1e-4)
    mean_picture = network.add_mean.bias.view(1, 3, 1, 1).expand(1, 3, 6, 6)
    shallow = network.head(network.sub_mean(mean_picture))
    bias = network.state_dict()["head.0.bias"]
    # A picture of the mean colour is all zeros behind the shift: only the bias is left, at the border too.
    assert torch.allclose(shallow, bias.view(1, -1, 1, 1).expand_as(shallow), atol=1e-4)


def test_residual_scale_multiplies_the_residual_only() -> None:
    block = ResidualBlock(4, residual_scale=0.1)
    inputs = torch.randn(1, 4, 5, 5)
    assert torch.allclose(block(inputs), inputs + 0.1 * block.body(inputs.clone()))


def test_x4_starts_from_x2_with_all_that_fits() -> None:
    x2 = EdsrConfig(2, blocks=1, features=4).build()
    x4 = EdsrConfig(4, blocks=1, features=4).build()
    fresh = x4.state_dict()["tail.0.2.weight"].clone()
    left = start_from(x4, x2)
    assert left == ["tail.0.2.bias", "tail.0.2.weight"]
    assert torch.equal(x4.state_dict()["body.0.body.0.weight"], x2.state_dict()["body.0.body.0.weight"])
    assert torch.equal(x4.state_dict()["tail.0.2.weight"], fresh)


def test_other_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="not 5"):
        EdsrConfig(5)


def test_a_config_round_trips_and_refuses_strangers() -> None:
    config = EdsrConfig(3, blocks=4, features=16, residual_scale=0.1)
    assert FAMILIES["edsr"].from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="unknown fields in a edsr config: depth"):
        EdsrConfig.from_dict({**config.to_dict(), "depth": 3})
    with pytest.raises(ValueError, match="family 'mdsr'"):
        EdsrConfig.from_dict({**config.to_dict(), "family": "mdsr"})
    with pytest.raises(ValueError, match="incomplete"):
        EdsrConfig.from_dict({"family": "edsr"})
