"""What every family promises, proved by one set of tests over all of them."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models import FAMILIES, NetworkConfig
from models.checkpoint import load_checkpoint, save_checkpoint
from tests.models.cases import CASES, inputs_for, output_shape, positive, randomised, scaled_cases

every_case = pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
every_scale = pytest.mark.parametrize(
    ("config", "scale"),
    scaled_cases(),
    ids=[f"{name} to x{scale}" for name, config in CASES.items() for scale in config.scales],
)
tileable = pytest.mark.parametrize(
    ("config", "scale"), [(config, scale) for config, scale in scaled_cases() if config.tileable], ids=str
)


def test_every_family_is_registered_under_its_name_and_has_a_case() -> None:
    assert {name: config.family for name, config in FAMILIES.items()} == {name: name for name in FAMILIES}
    assert {name.split()[0] for name in CASES} == set(FAMILIES)
    assert {name: config.family for name, config in CASES.items()} == {name: name.split()[0] for name in CASES}


@every_case
def test_a_config_survives_json(config: NetworkConfig) -> None:
    record = json.loads(json.dumps(config.to_dict()))
    assert FAMILIES[config.family].from_dict(record) == config
    with pytest.raises(ValueError, match="unknown fields"):
        FAMILIES[config.family].from_dict({**record, "colour": "blue"})


@every_case
def test_a_config_cannot_be_changed(config: NetworkConfig) -> None:
    with pytest.raises(AttributeError):
        config.family = "other"  # type: ignore[misc]
    assert hash(config) == hash(FAMILIES[config.family].from_dict(config.to_dict()))


@every_scale
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 1, 1), (2, 5, 7), (1, 16, 16)], ids=str)
def test_shapes_are_those_of_the_contract(
    config: NetworkConfig, scale: int, batch: int, height: int, width: int
) -> None:
    if config.family == "h2l" and not config.tileable:
        height = width = 16  # the only size there is
    network = config.at_scale(config.build().eval(), scale)
    with torch.no_grad():
        sr = network(*inputs_for(config, batch=batch, height=height, width=width))
    assert sr.shape == output_shape(config, scale, batch=batch, height=height, width=width)
    assert sr.dtype == torch.float32


@every_case
def test_a_scale_that_is_not_served_is_refused(config: NetworkConfig) -> None:
    network = config.build()
    with pytest.raises(ValueError, match=r"not x?5"):
        config.at_scale(network, 5)
    with pytest.raises(ValueError, match=r"not x?5"):
        config.macs_per_lr_pixel(5)


@every_case
def test_a_checkpoint_round_trips_bit_for_bit(config: NetworkConfig, tmp_path: Path) -> None:
    network = randomised(config.build())
    save_checkpoint(tmp_path / "a.safetensors", network, config=config, provenance={"steps": 1})
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.config == config
    inputs = inputs_for(config)
    for scale in config.scales:
        ours, theirs = (config.at_scale(one, scale)(*inputs) for one in (network, loaded.network))
        assert torch.equal(ours, theirs)


@every_scale
def test_one_scale_shares_tensors_and_names_with_the_whole(config: NetworkConfig, scale: int) -> None:
    network = config.build()
    whole = network.state_dict()
    for name, tensor in config.at_scale(network, scale).state_dict().items():
        assert tensor.data_ptr() == whole[name].data_ptr(), name


@every_scale
def test_multiply_adds_are_those_that_run(config: NetworkConfig, scale: int) -> None:
    network = config.at_scale(config.build().eval(), scale)
    counted = 0

    def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal counted
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        channels = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        counted += output.numel() // channels * module.weight.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(*inputs_for(config))
    assert counted == config.macs_per_lr_pixel(scale) * 16 * 16


@every_case
def test_training_reaches_every_parameter(config: NetworkConfig) -> None:
    network = config.build().train()
    inputs = inputs_for(config, batch=2)
    for scale in config.scales:
        config.at_scale(network, scale)(*inputs).square().mean().backward()
    missed = {name for name, tensor in network.named_parameters() if tensor.requires_grad and tensor.grad is None}
    assert missed == ({"a2.0.weight", "a2.0.bias"} if config == CASES["l2h"] else set())


@every_scale
def test_images_of_a_batch_do_not_mix(config: NetworkConfig, scale: int) -> None:
    network = config.at_scale(randomised(config.build()), scale)
    inputs = inputs_for(config, batch=3)
    with torch.no_grad():
        together = network(*inputs)
        alone = network(*(tensor[1:2] for tensor in inputs))
    assert torch.allclose(together[1:2], alone, atol=1e-5 * config.value_range)


@tileable
@pytest.mark.parametrize("dimension", [2, 3], ids=["rows", "columns"])
def test_an_sr_pixel_sees_lr_pixels_exactly_up_to_halo_exact(config: NetworkConfig, scale: int, dimension: int) -> None:
    """Along a strip, for every place of the pixel on the grid that the network's strides make."""
    network = config.at_scale(positive(config.build()), scale)
    halo, grid = config.halo_exact, config.size_multiple
    centre = (halo // grid + 2) * grid
    length = 2 * centre + grid
    height, width = (length, grid) if dimension == 2 else (grid, length)
    # Upper half of the range: the networks that map it to [-1, 1] have ReLUs.
    pixels, *noise = inputs_for(config, height=height, width=width, dtype=torch.double)
    pixels = (0.5 * pixels + 0.5 * config.value_range).requires_grad_()
    output = network(pixels, *(tensor.abs() for tensor in noise))
    enlarge, shrink = (scale, 1) if config.direction == "up" else (1, scale)
    reached = set()
    for place in range(centre, centre + grid):
        cell = output.narrow(dimension, place * enlarge, enlarge)
        (gradient,) = torch.autograd.grad(cell.sum(), pixels, retain_graph=True)
        seen = gradient.abs().sum(dim=[axis for axis in range(4) if axis != dimension]).nonzero().flatten() // shrink
        assert 0 < seen.min() < seen.max() < length - 1, "the strip is too short to tell"
        reached |= {place - int(seen.min()), int(seen.max()) - place}
    assert max(reached) == halo


@tileable
def test_a_tile_with_halo_exact_is_a_part_of_the_whole(config: NetworkConfig, scale: int) -> None:
    network = config.at_scale(randomised(config.build()), scale)
    halo, grid, core = config.halo_exact, config.size_multiple, 4
    top = (halo // grid + 3) * grid + 1
    start, stop = (top - halo) // grid * grid, top + core + halo
    inputs = inputs_for(config, height=stop + 8, width=8)
    shrink = scale if config.direction == "down" else 1
    enlarge = scale if config.direction == "up" else 1
    tile = [tensor[:, :, start * shrink : stop * shrink] for tensor in inputs]
    with torch.no_grad():
        whole = network(*inputs)[:, :, top * enlarge : (top + core) * enlarge]
        part = network(*tile)[:, :, (top - start) * enlarge : (top - start + core) * enlarge]
    assert torch.allclose(whole, part, atol=1e-5 * config.value_range)


@pytest.mark.parametrize("name", [name for name, config in CASES.items() if not config.tileable])
def test_a_family_that_cannot_be_tiled_says_why(name: str) -> None:
    with pytest.raises(ValueError, match=r"never tiled|no halo"):
        _ = CASES[name].halo_exact
    assert {name for name, config in CASES.items() if not config.tileable} == {"h2l", "l2h"}
