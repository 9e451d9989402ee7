"""MDSR is the paper's network: counts, official names, and branches that leave each other alone."""

import pytest
import torch

from models import MdsrConfig
from models.config import count_parameters
from models.mdsr import Mdsr
from tests.models.published import psnr_on_butterfly, weights

FULL = MdsrConfig(blocks=80)
COMPACT = MdsrConfig(blocks=1, residual_scale=0.1, compact=True)


@pytest.mark.parametrize(
    ("config", "trainable", "stored", "tensors", "active"),
    [
        (MdsrConfig(), 3_227_203, 3_227_227, 106, {2: 1_779_715, 3: 1_964_355, 4: 1_927_427}),
        (FULL, 7_953_987, 7_954_011, 362, {2: 6_506_499, 3: 6_691_139, 4: 6_654_211}),
    ],
    ids=["baseline", "full"],
)
def test_counts_are_the_papers(
    config: MdsrConfig, trainable: int, stored: int, tensors: int, active: dict[int, int]
) -> None:
    with torch.device("meta"):
        network = config.build()
    state = network.state_dict()
    assert count_parameters(network) == trainable
    assert sum(tensor.numel() for tensor in state.values()) == stored
    assert len(state) == tensors
    assert {scale: count_parameters(network.at_scale(scale)) for scale in config.scales} == active


@pytest.mark.parametrize(
    ("config", "macs"),
    [
        (MdsrConfig(), {2: 1_782_208, 3: 1_975_168, 4: 2_392_768}),
        (FULL, {2: 6_500_800, 3: 6_693_760, 4: 7_111_360}),
    ],
    ids=["baseline", "full"],
)
def test_multiply_adds_are_the_papers(config: MdsrConfig, macs: dict[int, int]) -> None:
    assert {scale: config.macs_per_lr_pixel(scale) for scale in config.scales} == macs


def test_the_receptive_radius_is_the_published_one() -> None:
    assert (MdsrConfig().halo_exact, FULL.halo_exact) == (44, 172)


def test_names_are_those_of_the_official_repository() -> None:
    blocks = [f"{block}.body.{layer}" for block in ("0", "1") for layer in (0, 2)]
    modules = ["sub_mean", "head.0", "body.0.body.0", "body.0.body.2", "body.1", "tail.0", "add_mean"]
    modules += [f"pre_process.{branch}.{block}" for branch in range(3) for block in blocks]
    modules += ["upsample.0.0", "upsample.1.0", "upsample.2.0", "upsample.2.2"]
    names = set(MdsrConfig(blocks=1, features=4).build().state_dict())
    assert names == {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}


def test_one_scale_holds_its_own_branch_only() -> None:
    names = MdsrConfig(blocks=1, features=4).build().at_scale(3).state_dict()
    assert {name.split(".")[1] for name in names if name.startswith(("pre_process", "upsample"))} == {"1"}


def test_a_batch_of_one_scale_trains_its_branch_and_what_is_shared() -> None:
    network = MdsrConfig(blocks=1, features=4).build()
    network(torch.rand(1, 3, 6, 6), 3).sum().backward()
    trained = {name for name, tensor in network.named_parameters() if tensor.grad is not None}
    assert {".".join(name.split(".")[:2]) for name in trained} == {
        *("head.0", "pre_process.1", "body.0", "body.1", "upsample.1", "tail.0")
    }


def test_the_global_skip_starts_behind_the_pre_processing() -> None:
    network = MdsrConfig(blocks=1, features=4).build()
    for parameter in network.body.parameters():
        parameter.data.zero_()
    lr = torch.rand(1, 3, 6, 6) * 255
    shallow = network.pre_process[0](network.head(network.sub_mean(lr)))
    expected = network.add_mean(network.tail(network.upsample[0](shallow)))
    assert torch.equal(network(lr, 2), expected)


def test_a_scale_keeps_following_the_weights_it_was_made_of() -> None:
    network = MdsrConfig(blocks=1, features=4).build()
    part = network.at_scale(4)
    lr = torch.rand(1, 3, 6, 6)
    before = part(lr)
    network.load_state_dict({name: tensor + 1 for name, tensor in network.state_dict().items()})
    assert not torch.equal(part(lr), before)
    assert torch.equal(part(lr), network(lr, 4))


def test_other_scales_are_refused() -> None:
    network = MdsrConfig(blocks=1, features=4).build()
    with pytest.raises(ValueError, match="2, 3 and 4, not 8"):
        network(torch.rand(1, 3, 6, 6), 8)
    with pytest.raises(TypeError, match="not with Identity"):
        MdsrConfig().at_scale(torch.nn.Identity(), 2)


@pytest.mark.data
@pytest.mark.parametrize(("scale", "expected"), [(2, 29.81), (3, 25.44), (4, 23.16)], ids=["x2", "x3", "x4"])
def test_published_weights_of_the_compact_layout_score_as_they_should(scale: int, expected: float) -> None:
    network = COMPACT.build().eval()
    network.load_state_dict(_to_rgb(network, weights("mdsr1x64_x2x3x4_saafke.pt")))
    assert psnr_on_butterfly(network.at_scale(scale), scale, value_range=255) == pytest.approx(expected, abs=0.02)


def _to_rgb(network: Mdsr, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The file's network takes and makes BGR, and subtracts its own mean."""
    mean = torch.tensor([114.3563, 111.5615, 103.1546])
    turned = {**network.state_dict(), **tensors, "sub_mean.bias": -mean, "add_mean.bias": mean}
    turned["head.0.weight"] = tensors["head.0.weight"].flip(1)
    for name in tensors:
        if name.startswith("upsample."):
            turned[name] = tensors[name].unflatten(0, (3, -1)).flip(0).flatten(0, 1)
    return turned
