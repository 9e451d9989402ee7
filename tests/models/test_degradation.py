"""High-to-Low and Low-to-High are the released networks; their variants take images of any size."""

import pytest
import torch

from models import H2lConfig, L2hConfig
from models.config import count_parameters
from models.degradation import H2l, L2h, PostNormBlock, PreNormBlock
from tests.models.cases import randomised

TINY_MAP = H2lConfig(features=4, noise="map")
TINY_L2H = {"features": 6, "narrow_features": 4, "head_features": 4, "blocks": 1, "narrow_blocks": 1}


def released(**changes: int) -> L2h:
    return L2hConfig("released", **{**TINY_L2H, **changes}).build().eval()


def equivariant() -> L2h:
    return L2hConfig("equivariant", **TINY_L2H).build().eval()


@pytest.mark.parametrize(
    ("config", "parameters", "macs"),
    [
        (H2lConfig(), 1_603_331, 886_030_336 // 256),
        (H2lConfig(noise="map"), 1_337_091, 885_768_192 // 256),
        (L2hConfig(), 15_490_403, 20_999_424),
        (L2hConfig("equivariant"), 15_478_019, 20_999_424),
    ],
    ids=["h2l", "h2l map", "l2h", "l2h equivariant"],
)
def test_counts_are_those_of_the_release(config: H2lConfig | L2hConfig, parameters: int, macs: int) -> None:
    with torch.device("meta"):
        assert count_parameters(config.build()) == parameters
    assert config.macs_per_lr_pixel(4) == macs


def test_high_to_low_has_twelve_residual_blocks_in_six_groups() -> None:
    network = H2lConfig(features=4).build()
    groups = [*network.encoder, *network.decoder]
    assert [sum(isinstance(layer, PostNormBlock) for layer in group) for group in groups] == [2] * 6


def test_high_to_low_goes_down_to_4_and_up_to_16() -> None:
    network = H2lConfig(features=4).build().eval()
    sizes = []
    for group in [*network.encoder, *network.decoder]:
        group.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
    assert network(torch.rand(1, 3, 64, 64), torch.randn(1, 64)).shape == (1, 3, 16, 16)
    assert sizes == [32, 16, 8, 4, 8, 16]


@pytest.mark.parametrize("config", [H2lConfig(features=4), TINY_MAP], ids=["vector", "map"])
def test_noise_decides_the_degradation(config: H2lConfig) -> None:
    network = randomised(config.build())
    hr = torch.rand(1, 3, 64, 64)
    noise, other = (torch.randn(config.noise_shape(1, 64, 64)) for _ in range(2))
    lr = network(hr, noise)
    assert torch.equal(network(hr, noise), lr)
    assert (network(hr, other) - lr).abs().max() > 1e-3
    assert lr.min() >= 0
    assert lr.max() <= 1


def test_a_noise_vector_goes_with_64_pixels_only() -> None:
    network = H2lConfig(features=4).build().eval()
    assert H2lConfig().noise_shape(3, 64, 64) == (3, 64)
    with pytest.raises(ValueError, match="64x64, not 64x80"):
        network(torch.rand(1, 3, 64, 80), torch.randn(1, 64))


@pytest.mark.parametrize(("size", "expected"), [((1, 1), (1, 1)), ((37, 50), (10, 13)), ((48, 16), (12, 4))], ids=str)
def test_a_noise_map_goes_with_any_size_rounded_up(size: tuple[int, int], expected: tuple[int, int]) -> None:
    network = TINY_MAP.build().eval()
    assert network(torch.rand(1, 3, *size), torch.randn(TINY_MAP.noise_shape(1, *size))).shape == (1, 3, *expected)


def test_a_noise_map_is_local() -> None:
    network = randomised(TINY_MAP.build())
    side = 4 * (TINY_MAP.halo_exact + 24)
    hr, noise = torch.rand(1, 3, 16, side), torch.randn(1, 1, 16, side)
    changed = noise.clone()
    changed[..., 4 * (TINY_MAP.halo_exact + 8) :] += 1
    difference = (network(hr, noise) - network(hr, changed)).abs().amax(dim=(0, 1, 2))
    assert difference[:8].max() == 0
    assert difference[-8:].max() > 0


def test_the_signed_outputs_are_the_answers_between_minus_one_and_one() -> None:
    hr, noise = torch.rand(1, 3, 64, 64), torch.randn(1, 64)
    high_to_low: H2l = H2lConfig(features=4).build().eval()
    assert torch.allclose(high_to_low(hr, noise), (high_to_low.signed(2 * hr - 1, noise) + 1) / 2)
    lr = torch.rand(1, 3, 16, 16)
    low_to_high = released()
    assert torch.allclose(low_to_high(lr), (low_to_high.signed(2 * lr - 1) + 1) / 2)


def test_low_to_highs_names_are_those_of_the_released_file() -> None:
    names = {name.rpartition(".")[0] for name in released(blocks=2, narrow_blocks=2).state_dict()}
    layers = ("bn1", "conv1", "bn2", "conv2")
    blocks = [f"layers_set_final.{group}.{block}.{layer}" for group in (0, 1) for block in (0, 1) for layer in layers]
    up = [f"layers_set_final_up.{group}.{layer}" for group in (0, 1) for layer in (1, 3)]
    rest = ["layers_in", "layers_set_final.1.0.skip", "a1.0", "a2.0", "main.0", "main.2", "main.4"]
    assert names == {*blocks, *up, *rest}


def test_the_released_network_has_fifteen_blocks_and_stores_what_it_never_runs() -> None:
    with torch.device("meta"):
        network = L2hConfig().build()
    assert sum(isinstance(module, PreNormBlock) for module in network.modules()) == 12 + 3
    assert network.state_dict()["layers_set_final_up.0.3.weight"].shape == (256, 256, 1, 1)
    small = released()
    lr = torch.rand(1, 3, 4, 4)
    before = small(lr)
    for parameter in small.a2.parameters():
        parameter.data += 1
    assert torch.equal(small(lr), before)


def test_only_the_equivariant_network_shifts_with_its_input() -> None:
    image = torch.rand(1, 3, 48, 8)
    errors = {}
    for name, network in (("released", released()), ("equivariant", equivariant())):
        randomised(network)
        with torch.no_grad():
            ahead = network(image[:, :, :40])[:, :, 4 * 17 : 4 * 20]
            behind = network(image[:, :, 1:41])[:, :, 4 * 16 : 4 * 19]
            taller = network(image)[:, :, 4 * 17 : 4 * 20]
        errors[name] = (float((ahead - behind).abs().max()), float((ahead - taller).abs().max()))
    assert errors["released"][1] > 1e-3
    assert max(errors["equivariant"]) < 1e-6


def test_the_equivariant_halo_is_29() -> None:
    assert L2hConfig("equivariant").halo_exact == 29


def test_other_options_are_refused() -> None:
    with pytest.raises(ValueError, match="noise is"):
        H2lConfig(noise="scalar")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiple of 4"):
        H2lConfig(features=6)
    with pytest.raises(ValueError, match="upsampling is"):
        L2hConfig("nearest")  # type: ignore[arg-type]
