"""The collapsed EDSR is the original: at every size, up to the corners, on random and on trained weights."""

import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from export.collapse import BORDER, DERIVED, PROBES, STRIP, CollapsedEdsr, CollapsedMdsr, collapsed
from export.external import stored_tensors
from export.importers import import_published, read_state_file
from export.photographs import centre_crop, photographs
from export.pixels import with_pixels
from export.store import Exported
from export.trace import trace
from models import EdsrConfig, EspcnConfig, MdsrConfig
from models.checkpoint import load_checkpoint
from models.edsr import Edsr
from service.sessions import Session
from tests import oracles
from tests.data_folder import require
from tests.export.examples import small_config, small_edsr
from tests.models.cases import randomised

SCALES = (2, 3, 4, 8)
SMALLEST = tuple(itertools.product(range(1, 7), range(1, 7)))  # where strips overlap, and just not
SIZES = (*SMALLEST, (1, 33), (40, 1), (2, 33), (40, 2), (3, 33), (13, 8), (40, 33))
TOLERANCE = 1e-5  # share of the full range: 0.00255 grey levels of 255
CHECKPOINTS = sorted((Path(__file__).resolve().parents[2] / "store").glob("edsr*/x*.safetensors"))


def border_heavy(scale: int, **changes: int) -> Edsr:
    """Random weights whose upsampler has large biases: the more wrong is an answer that forgets the zero padding."""
    network = small_edsr(small_config(scale, **changes))
    for name, parameter in network.named_parameters():
        if name.startswith("tail.") and name.endswith("bias"):
            parameter.data.mul_(10)
    return network


def straight(network: Edsr, deep: Tensor) -> Tensor:
    sr: Tensor = network.add_mean(network.tail(deep))
    return sr


def difference(sr: Tensor, expected: Tensor) -> Tensor:
    """Absolute, [s*H, s*W], as a share of the full range or of the largest value where that is larger."""
    assert sr.shape == expected.shape
    return (sr - expected).abs().amax(dim=(0, 1)) / max(255.0, float(expected.abs().max()))


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("scale", SCALES)
def test_every_pixel_is_the_originals_at_every_size(scale: int) -> None:
    network = border_heavy(scale)
    faster = CollapsedEdsr(network)
    for height, width in SIZES:
        deep = torch.randn(2, 8, height, width) * 20
        expected = straight(network, deep)
        assert expected.std() > 5  # a picture, not a grey area
        assert difference(faster.enlarge(deep), expected).max() <= TOLERANCE, (height, width)


@pytest.mark.parametrize("scale", SCALES)
def test_the_convolution_alone_is_right_inside_and_wrong_in_the_outermost_lr_pixels(scale: int) -> None:
    network = border_heavy(scale)
    faster = CollapsedEdsr(network)
    deep = torch.randn(1, 8, 9, 12) * 20
    off = difference(faster.shuffle(faster.interior(deep)), straight(network, deep))
    edge = BORDER * scale
    assert off[edge:-edge, edge:-edge].max() <= TOLERANCE
    for side in (off[:edge], off[-edge:], off[:, :edge], off[:, -edge:]):
        assert side.max() > 0.05


@pytest.mark.parametrize("scale", SCALES)
def test_a_narrower_strip_is_not_enough(scale: int) -> None:
    network = border_heavy(scale)
    deep = torch.randn(1, 8, 9, 12) * 20
    expected = straight(network, deep)[:, :, : BORDER * scale]
    off = [difference(straight(network, deep[:, :, :rows])[:, :, : BORDER * scale], expected).max() for rows in (2, 3)]
    assert STRIP == 3
    assert off[0] > 1e-3
    assert off[1] <= TOLERANCE


@pytest.mark.parametrize("scale", SCALES)
def test_the_whole_network_is_the_originals(scale: int) -> None:
    network = small_edsr(small_config(scale, residual_scale=0.1))
    for size in [(1, 1), (2, 5), (17, 12)]:
        lr = torch.rand(2, 3, *size) * 255
        assert difference(collapsed(network)(lr), network(lr)).max() <= TOLERANCE, size


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_scale_of_an_mdsr_is_the_originals(scale: int) -> None:
    config = MdsrConfig(blocks=1, features=8)
    network = config.at_scale(randomised(config.build()).eval(), scale)
    faster = collapsed(network)
    assert isinstance(faster, CollapsedMdsr)
    assert faster.state_dict().keys() - network.state_dict().keys() == set(DERIVED)
    for size in [*SMALLEST, (17, 12)]:
        lr = torch.rand(2, 3, *size) * 255
        assert difference(faster(lr), network(lr)).max() <= TOLERANCE, size


def test_a_compact_mdsr_has_nothing_to_collapse() -> None:
    network = MdsrConfig(blocks=1, features=8, compact=True).build().at_scale(2)
    assert collapsed(network) is network


def test_more_features_than_are_probed_at_once_are_all_probed() -> None:
    network = small_edsr(EdsrConfig(2, blocks=0, features=2 * PROBES + 3))
    lr = torch.rand(1, 3, 7, 6) * 255
    assert difference(collapsed(network)(lr), network(lr)).max() <= TOLERANCE


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_trained_networks_of_the_store_are_the_originals(checkpoint: Path) -> None:
    network = load_checkpoint(checkpoint).network
    assert isinstance(network, Edsr)
    check_trained(network)


@pytest.mark.data
def test_a_published_network_is_the_original() -> None:
    imported = import_published(read_state_file(require("weights", "edsr8x64_x2_krasserm.pt")))
    assert isinstance(imported.network, Edsr)
    check_trained(imported.network)


def check_trained(network: Edsr) -> None:
    faster = CollapsedEdsr(network)
    photograph = torch.from_numpy(centre_crop(photographs()["chelsea"], 40)).permute(2, 0, 1)[None].float()
    for height, width in [(1, 1), (2, 1), (2, 3), (3, 3), (4, 5), (40, 33)]:
        lr = photograph[:, :, :height, :width]
        assert difference(faster(lr), network(lr)).max() <= TOLERANCE, (height, width)


def test_a_graph_of_three_upsampling_steps_is_the_original_at_sizes_smaller_than_its_strips() -> None:
    network = border_heavy(8, blocks=0)
    pixels = with_pixels(collapsed(network), config=small_config(8), scale=8, pixels="float32")
    proto = trace(pixels, oracles.manifest("test", scale=8, pixels="float32"))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    check_graph(lambda lr: session.run(["sr"], {"lr": lr})[0], network)


def test_the_exported_graph_is_the_original_at_sizes_smaller_than_its_strips(exported: Exported) -> None:
    network = load_checkpoint(exported.weights).network
    check_graph(Session.open(exported.graphs[1], device="cpu", threads=1).run, network)


def check_graph(run: Callable[[Any], Any], network: nn.Module) -> None:
    original = with_pixels(network, config=small_config(), scale=0, pixels="float32")
    for height, width in [*SMALLEST, (40, 33)]:
        lr = np.random.default_rng(height).random((2, height, width, 3), dtype=np.float32)
        sr = torch.from_numpy(run(lr)).permute(0, 3, 1, 2) * 255
        expected = original(torch.from_numpy(lr)).permute(0, 3, 1, 2) * 255
        assert difference(sr, expected).max() <= TOLERANCE, (height, width)


def test_a_collapsed_network_has_the_originals_tensors_under_their_names_and_two_more() -> None:
    network = small_edsr(small_config(3))
    faster = collapsed(network)
    own, given = faster.state_dict(), network.state_dict()
    assert own.keys() - given.keys() == set(DERIVED)
    assert all(own[name].data_ptr() == given[name].data_ptr() for name in given)


def test_collapsing_leaves_the_original_as_it_was() -> None:
    network = small_edsr(small_config(2))
    before = copy.deepcopy(network.state_dict())
    collapsed(network)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)


def test_other_families_are_traced_as_they_are() -> None:
    network: nn.Module = EspcnConfig(2).build()
    assert collapsed(network) is network


def test_an_exported_graph_holds_the_derived_tensors_and_points_to_all_others(exported: Exported) -> None:
    proto = onnx.load(exported.graphs[0], load_external_data=False)
    inline = {t.name for t in proto.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL and t.dims}
    outside = {t.name for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
    assert set(DERIVED) <= inline
    assert outside <= stored_tensors(exported.weights).keys()
    assert not any(name.endswith(".weight") for name in inline - set(DERIVED))
