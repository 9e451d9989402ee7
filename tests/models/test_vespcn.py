"""VESPCN is the paper's family: depths, fusions, motion compensation, and a window whose middle frame counts."""

import math
import re

import pytest
import torch
from torch import nn

from models import VespcnConfig
from models.config import count_parameters
from models.motion import MotionCompensation
from models.vespcn import SlowFusion, Vespcn
from tests.models.cases import randomised

# Parameters of early fusion without motion: layers -> frames -> (x2, x3, x4).
EARLY = {
    5: {
        1: (16_732, 17_817, 19_336),
        3: (17_164, 18_249, 19_768),
        5: (17_596, 18_681, 20_200),
        7: (18_028, 19_113, 20_632),
    },
    7: {
        1: (27_148, 28_233, 29_752),
        3: (27_580, 28_665, 30_184),
        5: (28_012, 29_097, 30_616),
        7: (28_444, 29_529, 31_048),
    },
    9: {
        1: (37_564, 38_649, 40_168),
        3: (37_996, 39_081, 40_600),
        5: (38_428, 39_513, 41_032),
        7: (38_860, 39_945, 41_464),
    },
    11: {
        1: (47_980, 49_065, 50_584),
        3: (48_412, 49_497, 51_016),
        5: (48_844, 49_929, 51_448),
        7: (49_276, 50_361, 51_880),
    },
}


def parameters(config: VespcnConfig) -> int:
    with torch.device("meta"):
        return count_parameters(config.build())


@pytest.mark.parametrize("layers", EARLY, ids="{}L".format)
def test_counts_of_early_fusion_are_the_papers(layers: int) -> None:
    counted = {
        frames: tuple(
            parameters(VespcnConfig(scale, frames=frames, layers=layers, motion=False)) for scale in (2, 3, 4)
        )
        for frames in (1, 3, 5, 7)
    }
    assert counted == EARLY[layers]


@pytest.mark.parametrize(("layers", "counts"), [(5, (70_556, 71_641, 73_160)), (9, (91_388, 92_473, 93_992))])
def test_counts_with_motion_are_the_papers(layers: int, counts: tuple[int, ...]) -> None:
    assert tuple(parameters(VespcnConfig(scale, layers=layers)) for scale in (2, 3, 4)) == counts


@pytest.mark.parametrize(
    ("layers", "scale", "own", "shared", "macs"),
    [
        (7, 3, 76_545, 44_001, 76_248),
        (7, 4, 78_064, 45_520, 77_760),
        (9, 3, 86_961, 54_417, 86_616),
        (9, 4, 88_480, 55_936, 88_128),
    ],
)
def test_counts_of_slow_fusion(layers: int, scale: int, own: int, shared: int, macs: int) -> None:
    slow = VespcnConfig(scale, frames=5, layers=layers, fusion="slow", motion=False)
    slow_shared = VespcnConfig(scale, frames=5, layers=layers, fusion="slow_shared", motion=False)
    assert (parameters(slow), parameters(slow_shared)) == (own, shared)
    assert slow.macs_per_lr_pixel(scale) == slow_shared.macs_per_lr_pixel(scale) == macs


@pytest.mark.parametrize(
    ("layers", "motion", "macs"),
    [
        (5, False, (17_064, 18_144, 19_656)),
        (9, False, (37_800, 38_880, 40_392)),
        (9, True, (54_444, 55_524, 57_036)),
    ],
    ids=["5L-E3", "9L-E3", "9L-E3-MC"],
)
def test_multiply_adds_are_the_papers(layers: int, motion: bool, macs: tuple[int, ...]) -> None:
    configs = [VespcnConfig(scale, layers=layers, motion=motion) for scale in (2, 3, 4)]
    assert tuple(config.macs_per_lr_pixel(config.scale) for config in configs) == macs


def test_the_radius_is_the_depth_and_the_flow_networks_or_the_displacement() -> None:
    assert VespcnConfig(3, layers=5, motion=False).halo_exact == 5
    assert VespcnConfig(3, motion=False).halo_exact == 9
    assert VespcnConfig(3, max_disp=1.0).halo_exact == 9 + 29
    assert VespcnConfig(3).halo_exact == 9 + 33
    assert VespcnConfig(3, max_disp=20.2).halo_exact == 9 + 41


@pytest.mark.parametrize("sign", [-1, 1], ids=["backward", "forward"])
def test_the_halo_holds_at_the_largest_displacement(sign: int) -> None:
    """Both flow networks at their ends: tanh of a large bias. Their own reach is silent then, its gradient is 0."""
    config = VespcnConfig(2, layers=2, features=4)
    network = config.build().double()
    assert isinstance(network.motion, MotionCompensation)
    for flow in (network.motion.coarse, network.motion.fine):
        list(flow.parameters())[-1].data.fill_(sign * 50)  # the bias before tanh
    centre = 64
    frames = torch.rand(1, 3, 4, 2 * centre, dtype=torch.double, requires_grad=True)
    cell = network(frames)[..., 2 * centre : 2 * centre + 2]
    (gradient,) = torch.autograd.grad(cell.sum(), frames)
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    furthest = int((columns - centre).abs().max())
    assert furthest == 2 + math.ceil(2 * config.max_disp)
    assert furthest <= config.halo_exact


def test_a_tile_agrees_at_the_papers_displacement() -> None:
    config = VespcnConfig(2, layers=5, features=6)
    network = randomised(config.build())
    frames = nn.functional.interpolate(torch.rand(1, 3, 4, 40), size=(16, 200), mode="bilinear")
    halo, core = config.halo_exact, range(102, 108)
    start = (core.start - halo) // 4 * 4
    with torch.no_grad():
        whole = network(frames)[..., 2 * core.start : 2 * core.stop]
        tile = network(frames[..., start : core.stop + halo])
    part = tile[..., 2 * (core.start - start) : 2 * (core.stop - start)]
    assert torch.allclose(whole, part, atol=1e-4)


def test_a_tile_off_the_grid_of_four_does_not_agree() -> None:
    config = VespcnConfig(2, layers=3, features=6, max_disp=3.0)
    network = randomised(config.build())
    frames = torch.rand(1, 3, 8, 120)
    with torch.no_grad():
        whole = network(frames)[..., 120:130]
        on_grid = network(frames[..., 8:])[..., 104:114]
        off_grid = network(frames[..., 9:])[..., 102:112]
    assert torch.allclose(whole, on_grid, atol=1e-4)
    assert not torch.allclose(whole, off_grid, atol=1e-3)


def test_the_window_keeps_its_order_and_its_middle() -> None:
    network = VespcnConfig(2, frames=5, layers=5).build()
    frames = torch.rand(2, 5, 8, 12)
    compensated, flow = network.compensated(frames)
    assert flow.shape == (2, 4, 2, 8, 12)
    assert torch.equal(compensated[:, 2], frames[:, 2])
    assert torch.allclose(compensated, frames, atol=1e-6)  # an untrained motion network moves nothing


def test_each_neighbour_is_compensated_on_its_own() -> None:
    network = randomised(VespcnConfig(2, frames=5, layers=5).build())
    assert isinstance(network, Vespcn)
    frames = torch.rand(1, 5, 8, 12)
    changed = frames.clone()
    changed[:, 3] = torch.rand(1, 8, 12)
    ours, theirs = network.compensated(frames), network.compensated(changed)
    moved = (ours.frames - theirs.frames).abs().amax(dim=(0, 2, 3))
    turned = (ours.flow - theirs.flow).abs().amax(dim=(0, 2, 3, 4))
    assert [index for index, value in enumerate(moved.tolist()) if value > 1e-6] == [3]
    assert [index for index, value in enumerate(turned.tolist()) if value > 1e-6] == [2]  # flow 2 is that of frame 3


def test_compensation_without_motion_is_refused() -> None:
    with pytest.raises(ValueError, match="no motion compensation"):
        VespcnConfig(2, motion=False).build().compensated(torch.rand(1, 3, 8, 8))


def test_slow_fusion_merges_one_frame_less_per_layer() -> None:
    network = VespcnConfig(2, frames=5, layers=6, features=4, fusion="slow", motion=False).build()
    assert isinstance(network.fusion, SlowFusion)
    assert [len(list(merge.parameters())) // 2 for merge in network.fusion.merges] == [4, 3, 2, 1]


def test_shared_slow_fusion_is_slow_fusion_with_equal_weights() -> None:
    shared = VespcnConfig(2, frames=5, layers=6, features=4, fusion="slow_shared", motion=False).build()
    own = VespcnConfig(2, frames=5, layers=6, features=4, fusion="slow", motion=False).build()
    given = shared.state_dict()
    # fusion.merges.<layer>.convs.<pair>.<kind>: every pair takes the only one that the shared network has.
    own.load_state_dict({name: given[re.sub(r"convs\.\d+", "convs.0", name)] for name in own.state_dict()})
    frames = torch.rand(1, 5, 7, 8)
    assert torch.allclose(shared(frames), own(frames), atol=1e-6)


def test_it_begins_with_orthogonal_weights_and_no_bias() -> None:
    for layer in VespcnConfig(3, motion=False).build().modules():
        if isinstance(layer, nn.Conv2d):
            rows = layer.weight.flatten(1)
            assert torch.allclose(rows @ rows.T, 2 * torch.eye(len(rows)), atol=1e-5)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_a_single_frame_is_luma_of_one_image() -> None:
    single, window = VespcnConfig(2, frames=1, motion=False), VespcnConfig(2, frames=7)
    assert (single.input_kind, single.frame_window, single.input_channels) == ("y", 1, 1)
    assert (window.input_kind, window.frame_window, window.input_channels) == ("frames", 7, 7)
    assert (window.output_channels, window.size_multiple, single.size_multiple) == (1, 4, 1)


def test_one_graph_serves_every_size() -> None:
    """torch.export raises where a size would be fixed, or where two sizes cannot be shown to agree."""
    network = randomised(VespcnConfig(3, layers=3, features=4).build())
    batch, height, width = (torch.export.Dim(name, min=smallest) for name, smallest in (("N", 1), ("H", 5), ("W", 5)))
    program = torch.export.export(
        network, (torch.rand(2, 3, 22, 29),), dynamic_shapes=({0: batch, 2: height, 3: width},)
    )
    operators = {str(node.target) for node in program.graph.nodes}
    assert "aten.grid_sampler.default" in operators
    assert "aten.arange.default" in operators
    assert not any("linspace" in operator for operator in operators)  # its steps would be fixed
    frames = torch.rand(1, 3, 33, 6)
    assert torch.allclose(program.module()(frames), network(frames), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 8}, "not 8"),
        ({"scale": 3, "frames": 2}, "1, 3, 5 or 7 frames, not 2"),
        ({"scale": 3, "fusion": "late"}, "fusion is"),
        ({"scale": 3, "frames": 1}, "no neighbours"),
        ({"scale": 3, "frames": 1, "motion": False, "fusion": "slow"}, "no neighbours"),
        ({"scale": 3, "frames": 7, "layers": 6, "fusion": "slow"}, "6 layers are too few"),
        ({"scale": 3, "layers": 1}, "1 layers are too few"),
        ({"scale": 3, "max_disp": 0.0}, "max_disp is 0.0"),
        ({"scale": 3, "max_disp": math.nan}, "max_disp is nan"),
    ],
    ids=str,
)
def test_impossible_configs_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VespcnConfig.from_dict({"family": "vespcn", **options})
