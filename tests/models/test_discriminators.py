"""The discriminators have the papers' sizes, answer with logits, and the degradation GAN's are bounded."""

import math

import pytest
import torch
from torch import Tensor, nn

from models.config import count_parameters
from models.discriminators import DegradationDiscriminator, NormBoundBlock, SrganDiscriminator


@pytest.mark.parametrize(
    ("crop", "conv_bias", "parameters"),
    [(96, False, 23_563_649), (96, True, 23_565_505), (128, False, 38_243_713)],
    ids=["paper", "with biases", "crops of 128"],
)
def test_srgans_has_the_published_count(crop: int, conv_bias: bool, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(SrganDiscriminator(crop=crop, conv_bias=conv_bias)) == parameters


def test_srgans_costs_what_it_should() -> None:
    with torch.device("meta"):
        network = SrganDiscriminator()
        counted = 0

        def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
            nonlocal counted
            assert isinstance(module, nn.Conv2d | nn.Linear)
            channels = module.out_features if isinstance(module, nn.Linear) else module.out_channels
            counted += output.numel() // channels * module.weight.numel()

        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 1)
    assert counted == 884_147_200


def test_srgans_answers_with_logits() -> None:
    network = SrganDiscriminator(crop=16).eval()
    list(network.parameters())[-1].data.fill_(30.0)  # the bias of the last layer
    assert (network(torch.rand(2, 3, 16, 16) * 2 - 1) > 20).all()


def test_srgans_wants_crops_that_it_can_halve() -> None:
    for crop in (90, 0, -16):
        with pytest.raises(ValueError, match=f"crop is {crop}"):
            SrganDiscriminator(crop=crop)


@pytest.mark.parametrize(
    ("side", "halvings", "parameters"), [(16, 2, 1_348_993), (64, 4, 1_382_017)], ids=["low", "high"]
)
def test_the_degradations_have_the_released_counts(side: int, halvings: int, parameters: int) -> None:
    network = DegradationDiscriminator(halvings=halvings)
    assert count_parameters(network) == parameters
    assert network.blocks(torch.zeros(1, 3, side, side)).shape == (1, 128, 4, 4)  # what the release averages
    assert network(torch.zeros(2, 3, side, side)).shape == (2, 1)


def test_every_layer_of_the_degradations_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    network = DegradationDiscriminator(halvings=2, features=8).train()
    for _ in range(60):
        network(torch.rand(2, 3, 16, 16))
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3 + 4 * 2 + 1 + 1  # first block, four others, one bypass, the end
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert norm == pytest.approx(1.0, abs=1e-3)


def test_the_degradations_begin_with_xavier_weights() -> None:
    gains = {}
    for name, weight in DegradationDiscriminator(halvings=2, features=64).named_parameters():
        if "blocks" in name and weight.dim() == 4:
            bound = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()))
            gains["bypass" if "bypass" in name else "conv"] = weight.detach().abs().max().item() / bound
    assert gains == {
        "conv": pytest.approx(1, abs=0.02),
        "bypass": pytest.approx(math.sqrt(2), abs=0.05),
    }


def test_the_degradations_do_not_change_in_eval_mode() -> None:
    network = DegradationDiscriminator(halvings=4, features=8).eval()
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(network(images), network(images))


def test_the_degradations_take_other_crops() -> None:
    assert DegradationDiscriminator(halvings=2, features=8)(torch.rand(1, 3, 21, 48)).shape == (1, 1)


def test_a_block_passes_its_input_on() -> None:
    block = NormBoundBlock(4, halve=False).eval()
    inputs = -torch.rand(1, 4, 6, 6)  # stopped by the first ReLU, so that only biases are left of the residual
    residual = block(inputs) - inputs
    assert torch.allclose(residual[..., 2, 2], residual[..., 3, 3])


def test_impossible_halvings_are_refused() -> None:
    for halvings in (0, 6):
        with pytest.raises(ValueError, match=f"halvings is {halvings}"):
            DegradationDiscriminator(halvings=halvings)
