"""SRResNet is the paper's generator; SRGAN is the same one; published weights of both load by name and score."""

from dataclasses import replace

import pytest
import torch

from models import SrganConfig, SrresnetConfig
from models.config import count_parameters
from models.srresnet import NormedBlock
from tests.models.published import psnr_on_butterfly, weights

PUBLISHED = SrresnetConfig(4, prelu="channel", conv_bias=True, norm_eps=1e-3, tanh=True)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (SrresnetConfig(2), 1_399_637),
        (SrresnetConfig(4), 1_547_350),
        (SrresnetConfig(8), 1_695_063),
        (SrresnetConfig(2, prelu="channel"), 1_400_771),
        (SrresnetConfig(4, prelu="channel"), 1_548_547),
        (SrresnetConfig(8, prelu="channel"), 1_696_323),
        (SrresnetConfig(2, conv_bias=True), 1_401_749),
        (SrresnetConfig(4, conv_bias=True), 1_549_462),
        (SrresnetConfig(8, conv_bias=True), 1_697_175),
        (SrganConfig(4), 1_547_350),
    ],
    ids=str,
)
def test_counts_are_those_of_the_reference(config: SrresnetConfig, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(config.build()) == parameters


@pytest.mark.parametrize(("scale", "macs"), [(2, 1_441_728), (4, 2_218_176), (8, 5_323_968)])
def test_multiply_adds_and_radius_are_those_of_the_reference(scale: int, macs: int) -> None:
    assert SrresnetConfig(scale).macs_per_lr_pixel(scale) == macs
    assert SrresnetConfig(scale).halo_exact == 40


def test_names_say_where_a_layer_is() -> None:
    names = {name.rpartition(".")[0] for name in SrresnetConfig(4, blocks=1, features=4).build().state_dict()}
    block = [f"body.0.{layer}" for layer in ("conv1", "bn1", "prelu", "conv2", "bn2")]
    up = [f"up.{index}.{layer}" for index in (0, 1) for layer in ("conv", "prelu")]
    assert names == {"head.0", "head.1", *block, "body_tail.0", "body_tail.1", *up, "tail"}


def test_the_signed_output_is_the_answer_between_minus_one_and_one() -> None:
    network = SrresnetConfig(2, blocks=1, features=4).build().eval()
    lr = torch.rand(1, 3, 5, 6)
    assert torch.allclose(network(lr), (network.signed(lr) + 1) / 2)
    network.tail.weight.data.zero_()
    assert network.tail.bias is not None
    network.tail.bias.data = torch.tensor([-1.0, 0.0, 1.0])
    assert network(lr)[0, :, 0, 0].tolist() == [0.0, 0.5, 1.0]


def test_tanh_bounds_the_answer() -> None:
    network = SrresnetConfig(2, blocks=1, features=4, tanh=True).build().eval()
    network.tail.weight.data *= 1000
    sr = network(torch.rand(1, 3, 8, 8))
    assert sr.min() >= 0
    assert sr.max() <= 1


def test_no_activation_follows_the_sum_of_a_block() -> None:
    block = NormedBlock(SrresnetConfig(2, features=4)).eval()
    inputs = -torch.rand(1, 4, 5, 5)
    block.bn2.weight.data.zero_()
    assert torch.equal(block(inputs), inputs)


def test_prelus_have_one_slope_a_layer_or_a_channel() -> None:
    shared = SrresnetConfig(2, blocks=1, features=4).build()
    own = SrresnetConfig(2, blocks=1, features=4, prelu="channel").build()
    assert {module.weight.numel() for module in shared.modules() if isinstance(module, torch.nn.PReLU)} == {1}
    assert {module.weight.numel() for module in own.modules() if isinstance(module, torch.nn.PReLU)} == {4}


def test_reflecting_padding_changes_the_border_and_nothing_else() -> None:
    config = SrresnetConfig(2, blocks=1, features=4)
    zeros = config.build().eval()
    reflecting = replace(config, padding="reflect").build().eval()
    reflecting.load_state_dict(zeros.state_dict())
    lr = torch.rand(1, 3, 40, 40)
    difference = (zeros(lr) - reflecting(lr)).abs().amax(dim=(0, 1))
    border = 2 * config.halo_exact
    assert difference[border:-border, border:-border].max() < 1e-6
    assert difference[0].max() > 1e-4


def test_other_options_are_refused() -> None:
    with pytest.raises(ValueError, match="not 3"):
        SrresnetConfig(3)
    with pytest.raises(ValueError, match="srgan has scales"):
        SrganConfig(3)
    with pytest.raises(ValueError, match="prelu is"):
        SrresnetConfig(4, prelu="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="padding is"):
        SrresnetConfig(4, padding="same")  # type: ignore[arg-type]


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "expected"),
    [("srresnet16x64_x4_krasserm.pt", 28.30), ("srgan16x64_x4_krasserm.pt", 26.21)],
    ids=["srresnet", "srgan"],
)
def test_published_weights_score_as_they_should(file: str, expected: float) -> None:
    network = PUBLISHED.build().eval()
    network.load_state_dict(weights(file))
    assert psnr_on_butterfly(network, 4, value_range=1) == pytest.approx(expected, abs=0.02)
