"""What every exported family promises, proved by one set of tests over all of them, through the class that serves."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.contract import draw_noise, picture_size
from export.external import stored_tensors
from export.photographs import centre_crop, mirrored, moving, photographs
from models import FAMILIES, NetworkConfig
from models.checkpoint import load_checkpoint
from models.config import count_parameters
from service.manifest import Manifest
from service.sessions import Session
from tests.export.cases import CASES, SCALED, FamilyStore, in_floats, scores
from training.metrics import LUMA_OFFSET, LUMA_WEIGHTS

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = 24  # LR pixels kept of a tile
TOLERANCE = 1e-5  # share of the full range
# A warp's positions are sums of float32 numbers as large as the image is wide.
WARP_TOLERANCE = 1e-4
# What a store is made again of: several scales, colour around luma, noise. The committed store has the rest.
MADE_AGAIN = ("mdsr", "espcn", "h2l")

every_case = pytest.mark.parametrize("name", CASES)
every_graph = pytest.mark.parametrize(("name", "scale"), SCALED, ids=[f"{name} x{scale}" for name, scale in SCALED])
tileable = pytest.mark.parametrize(
    ("name", "scale"),
    [(name, scale) for name, scale in SCALED if CASES[name].tileable],
    ids=[f"{name} x{scale}" for name, scale in SCALED if CASES[name].tileable],
)


def test_every_family_has_a_case() -> None:
    assert {name.split()[0] for name in CASES} == set(FAMILIES)


@every_graph
def test_the_graph_answers_what_the_network_answers(family_store: FamilyStore, name: str, scale: int) -> None:
    """On colours that leave 0..255, at a size that is no multiple of anything, in a batch."""
    network = network_of(family_store, name, scale)
    in_bytes, in_units = (family_store.session(name, scale, pixels) for pixels in ("uint8", "float32"))
    facts = in_bytes.manifest
    window = (facts.frame_window,) if facts.input == "frames" else ()
    shape = (2, *window, *(picture_size(facts) or (21, 26)), 3)
    pixels = np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)
    noise = draw_noise(facts, pixels, seed=5)
    answer = in_units.run(in_floats(pixels), noise)
    expected = network_answer(CASES[name], network, pixels, noise)
    seen = answer if facts.input == "rgb" else answer @ (np.array(LUMA_WEIGHTS) / 255) + LUMA_OFFSET / 255
    seen = seen.reshape(expected.shape)
    assert np.abs(seen - expected).max() <= tolerance(facts) * max(1.0, float(np.abs(expected).max()))
    assert expected.std() > 0.02  # a picture, not a grey area where any graph would agree
    rounded = np.rint(answer.clip(0, 1) * np.float32(255))
    assert np.abs(in_bytes.run(pixels, noise) - rounded).max() <= 1


@every_graph
def test_the_manifest_says_what_the_checkpoint_says(family_store: FamilyStore, name: str, scale: int) -> None:
    config, network = CASES[name], network_of(family_store, name, scale)
    in_bytes, in_units = (family_store.session(name, scale, pixels).manifest for pixels in ("uint8", "float32"))
    weights = family_store.export(name).weights
    assert (in_bytes.family, in_bytes.scale, in_bytes.model) == (name.split()[0], scale, name.replace(" ", "-"))
    assert (in_bytes.input, in_bytes.frame_window) == (config.input_kind, config.frame_window)
    assert (in_bytes.direction, in_bytes.noise) == (config.direction, getattr(config, "noise", "none"))
    assert (in_bytes.fixed_size, in_bytes.size_multiple) == (config.fixed_size, config.size_multiple)
    assert in_bytes.halo <= in_bytes.halo_exact == (config.halo_exact if config.tileable else 0)
    assert in_bytes.parameters == count_parameters(network)
    assert in_bytes.psnr == {"Set5": 30.0 + scale}
    assert scores(config) != in_bytes.psnr or len(config.scales) == 1
    assert weights.name == "".join(f"x{each}" for each in config.scales) + ".safetensors"
    assert in_bytes.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert in_units == in_bytes.model_copy(update={"pixels": "float32"})


@every_graph
def test_weights_stay_in_the_checkpoints_file(family_store: FamilyStore, name: str, scale: int) -> None:
    weights = family_store.export(name).weights
    stored = stored_tensors(weights)
    used = set(network_of(family_store, name, scale).state_dict())
    for pixels in ("uint8", "float32"):
        path = family_store.session(name, scale, pixels).path
        proto = onnx.load(path, load_external_data=False)
        outside = {t.name: t for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
        assert {entry.value for t in outside.values() for entry in t.external_data if entry.key == "location"} == {
            weights.name
        }
        assert outside.keys() <= stored.keys() & used
        assert len(outside) > 0.6 * len([key for key in used if not key.endswith("num_batches_tracked")])
        assert path.stat().st_size < 50_000


@tileable
def test_a_tile_with_halo_exact_is_a_part_of_the_whole(family_store: FamilyStore, name: str, scale: int) -> None:
    session = family_store.session(name, scale, "float32")
    facts = session.manifest
    picture = picture_for(facts, margin=facts.halo_exact + CORE + 7)
    whole = Tiling(session, picture).whole()
    tiled = Tiling(session, picture).in_tiles(facts.halo_exact)
    assert np.abs(whole - tiled).max() <= tolerance(facts) * max(1.0, float(np.abs(whole).max()))


@tileable
def test_tiles_with_the_measured_halo_show_no_seam(family_store: FamilyStore, name: str, scale: int) -> None:
    session = family_store.session(name, scale)
    picture = picture_for(session.manifest, margin=session.manifest.halo + CORE)
    whole, tiled = Tiling(session, picture).whole(), Tiling(session, picture).in_tiles(session.manifest.halo)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert whole.std() > 5


@every_case
def test_a_network_of_one_size_has_no_halo(family_store: FamilyStore, name: str) -> None:
    halos = family_store.export(name).halos
    assert halos.keys() == set(CASES[name].scales)
    assert all((halo > 0) == CASES[name].tileable for halo in halos.values())


@pytest.mark.timeout(900)  # it traces ten graphs
def test_the_command_line_makes_a_store_again_byte_for_byte_in_another_process(
    family_store: FamilyStore, tmp_path: Path
) -> None:
    exports = [family_store.export(name) for name in MADE_AGAIN]
    made = {path for exported in exports for path in [exported.weights, *exported.graphs]}
    for path in made:
        if path.suffix == ".safetensors":
            (tmp_path / path.parent.name).mkdir()
            shutil.copy(path, tmp_path / path.parent.name)
    done = subprocess.run(
        [sys.executable, "-m", "export", "store", "--store", str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    again = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path) for path in again} == {path.relative_to(family_store.path) for path in made}
    for path in again:
        assert path.read_bytes() == (family_store.path / path.relative_to(tmp_path)).read_bytes(), path


class Tiling:
    """A picture, whole and in tiles that are cut by arithmetic of the tests' own."""

    def __init__(self, session: Session, picture: NDArray[np.uint8]) -> None:
        facts = session.manifest
        self.session, self.facts = session, facts
        self.pixels: NDArray[Any] = in_floats(picture) if facts.pixels == "float32" else picture
        self.noise = draw_noise(facts, self.pixels[np.newaxis])
        self.into, self.out = (facts.scale, 1) if facts.direction == "down" else (1, facts.scale)
        self.height, self.width = (-(-side // self.into) for side in picture.shape[-3:-1])

    def answer(self, top: int, bottom: int, left: int, right: int) -> NDArray[Any]:
        rows, columns = (slice(a * self.into, b * self.into) for a, b in ((top, bottom), (left, right)))
        pixels = np.ascontiguousarray(self.pixels[..., rows, columns, :])[np.newaxis]
        noise = None if self.noise is None else np.ascontiguousarray(self.noise[:, rows, columns])
        answer: NDArray[Any] = self.session.run(pixels, noise)[0]
        return answer

    def whole(self) -> NDArray[Any]:
        return self.answer(0, self.height, 0, self.width)

    def in_tiles(self, halo: int) -> NDArray[Any]:
        stitched = np.full_like(self.whole(), 0)
        for top, bottom in _cores(self.height):
            for left, right in _cores(self.width):
                grid = self.facts.size_multiple
                first_row, first_column = (max(0, start - halo) // grid * grid for start in (top, left))
                tile = self.answer(
                    first_row, min(self.height, bottom + halo), first_column, min(self.width, right + halo)
                )
                rows, columns = (
                    slice((a - first) * self.out, (b - first) * self.out)
                    for a, b, first in ((top, bottom, first_row), (left, right, first_column))
                )
                place = stitched[top * self.out : bottom * self.out, left * self.out : right * self.out]
                place[...] = tile[rows, columns][: place.shape[0], : place.shape[1]]
        return stitched


def _cores(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, CORE):
        yield start, min(start + CORE, length)


def picture_for(facts: Manifest, *, margin: int) -> NDArray[np.uint8]:
    """The middle of a photograph, one or two cores larger than a tile; HR sizes are no multiples of the scale."""
    photograph, height, width = photographs()["chelsea"], CORE + 2 * margin + 1, CORE + margin + 2
    if facts.direction == "down":
        height, width = height * facts.scale - 1, width * facts.scale - 2
        return centre_crop(mirrored(photograph, height, width), height, width)
    if facts.input == "frames":
        return centre_crop(moving(photograph, facts.frame_window, (2, -3)), height, width)
    return centre_crop(photograph, height, width)


def network_of(family_store: FamilyStore, name: str, scale: int) -> torch.nn.Module:
    return CASES[name].at_scale(load_checkpoint(family_store.export(name).weights).network, scale)


def network_answer(
    config: NetworkConfig, network: torch.nn.Module, pixels: NDArray[np.uint8], noise: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """What the network alone makes of pixels [N, (D,) H, W, 3], in its own terms over its range: RGB last, or luma."""
    values = pixels.astype(np.float64) / 255
    if config.input_kind != "rgb":
        values = (values @ np.array(LUMA_WEIGHTS) + LUMA_OFFSET) / 255
        values = values if config.input_kind == "frames" else values[:, np.newaxis]
    else:
        values = np.moveaxis(values, -1, -3)
    inputs: list[Tensor] = [torch.from_numpy(values * config.value_range).float()]
    if noise is not None:
        inputs.append(torch.from_numpy(noise if noise.ndim == 2 else np.moveaxis(noise, -1, 1).copy()))
    with torch.no_grad():
        answer: Tensor = network(*inputs) / config.value_range
    last: NDArray[np.float32] = (answer.permute(0, 2, 3, 1) if config.input_kind == "rgb" else answer[:, 0]).numpy()
    return last


def tolerance(facts: Manifest) -> float:
    return WARP_TOLERANCE if facts.input == "frames" else TOLERANCE
