"""Planes: every kind of graph gets what it takes, tile by tile, and the tiles' answers make the whole image's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.manifest import NOISE_LENGTH, Manifest
from service.noise import Noise
from service.planes import MAX_TILE_MACS, Plane, batch_of, plan_for
from service.sessions import Session
from service.tiling import Tile, TilePlan, plan_tiles
from tests import oracle_kinds, oracles

RADIUS = 3
SCALE = 2
SEED = 7


def opened(folder: Path, scale: int, proto: onnx.ModelProto) -> Session:
    model = oracles.get_manifest(proto).model
    return Session.open(oracles.save_graph(folder, model, scale, proto), device="cpu", threads=1)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    folder = tmp_path_factory.mktemp("store")
    graphs = {
        "blur": oracles.blur_graph(SCALE, RADIUS),
        "blur16": oracles.blur_graph(SCALE, RADIUS, "float32"),
        "clip": oracle_kinds.clip_graph(SCALE),
        "clip16": oracle_kinds.clip_graph(SCALE, "float32"),
        "blocks": oracle_kinds.blocks_graph(SCALE, 4),
        "degrading": oracle_kinds.degrading_graph(SCALE, multiple=3),
        "degrading16": oracle_kinds.degrading_graph(SCALE, multiple=3, pixels="float32"),
        "degrading4": oracle_kinds.degrading_graph(4),
        "once": oracle_kinds.degrading_once_graph(SCALE),
    }
    return {name: opened(folder / name, oracles.get_manifest(proto).scale, proto) for name, proto in graphs.items()}


def random_image(height: int, width: int, *, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def answered(session: Session, image: NDArray[Any], plan: TilePlan, *, seed: int = SEED) -> NDArray[Any]:
    """The session's answer, put together from the plan's tiles, three to a batch."""
    plane = Plane.of_graph(image, session.manifest, seed=seed)
    assert plane.fits(session.manifest)
    for start in range(0, len(plan.tiles), 3):
        tiles = plan.tiles[start : start + 3]
        for tile, answer in zip(tiles, session.run(*batch_of([(plane, tile) for tile in tiles])), strict=True):
            plane.write(tile, answer)
    return plane.output


def cut(session: Session, image: NDArray[Any], max_tile: int) -> TilePlan:
    height, width = image.shape[:2]
    return plan_for(session.manifest, height, width, exact=False, max_tile=max_tile)


def whole_noise(session: Session, image: NDArray[Any], *, seed: int = SEED) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    facts = session.manifest
    assert facts.noise != "none"
    return Noise(seed, facts.noise).of(Tile(0, 0, height, width, 0, 0, height, width))


# --- every kind of graph, tiled


SIDES = st.one_of(st.integers(1, 80), st.integers(1, 5))


@given(height=SIDES, width=SIDES, max_tile=st.integers(8, 48))
@settings(max_examples=60, deadline=None)
def test_a_network_that_works_in_blocks_gets_its_tiles_on_their_grid(
    sessions: dict[str, Session], height: int, width: int, max_tile: int
) -> None:
    image, session = random_image(height, width), sessions["blocks"]
    plan = cut(session, image, max_tile)
    assert np.array_equal(answered(session, image, plan), oracle_kinds.blocks(image, SCALE, 4))


def test_tiles_beside_the_grid_would_show(sessions: dict[str, Session]) -> None:
    image, session = random_image(50, 61), sessions["blocks"]
    beside = plan_tiles(50, 61, halo=3, max_tile=26, step=1)
    assert not np.array_equal(answered(session, image, beside), oracle_kinds.blocks(image, SCALE, 4))
    on_the_grid = cut(session, image, 26)
    assert len(on_the_grid.tiles) > 1
    assert np.array_equal(answered(session, image, on_the_grid), oracle_kinds.blocks(image, SCALE, 4))


@given(height=SIDES, width=SIDES, max_tile=st.integers(8, 48))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", ["degrading", "degrading4", "degrading16"])
def test_a_degradation_tiles_with_its_part_of_the_noise(
    sessions: dict[str, Session], name: str, height: int, width: int, max_tile: int
) -> None:
    session = sessions[name]
    image = random_image(height, width, dtype=np.uint16 if name.endswith("16") else np.uint8)
    expected = oracle_kinds.degrading(image, whole_noise(session, image), session.manifest.scale)
    assert np.array_equal(answered(session, image, cut(session, image, max_tile)), expected)


def test_another_seed_degrades_otherwise(sessions: dict[str, Session]) -> None:
    image, session = random_image(90, 70), sessions["degrading"]
    plan = cut(session, image, 40)
    first, same, other = (answered(session, image, plan, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert np.mean(first == other) < 0.02


def test_a_noise_vector_goes_with_each_picture(sessions: dict[str, Session]) -> None:
    side, session = oracle_kinds.FIXED_HR_SIDE, sessions["once"]
    image = random_image(side, side)
    plan = cut(session, image, 8)
    assert len(plan.tiles) == 1
    noise = whole_noise(session, image)
    assert noise.shape == (NOISE_LENGTH,)
    assert np.array_equal(answered(session, image, plan), oracle_kinds.degrading_once(image, noise, SCALE))


@pytest.mark.parametrize(("name", "dtype"), [("clip", np.uint8), ("clip16", np.uint16)])
def test_a_still_is_a_clip_of_one_frame_repeated(
    sessions: dict[str, Session], name: str, dtype: type[np.unsignedinteger[Any]]
) -> None:
    image, session = random_image(40, 50, dtype=dtype), sessions[name]
    answer = answered(session, image, cut(session, image, 24))
    assert np.array_equal(answer, oracle_kinds.clip(np.stack([image] * 3), SCALE))
    assert np.array_equal(answer, oracles.nearest(image, SCALE))


def test_16_bit_images_go_through_the_float_graph_without_losing_a_level(sessions: dict[str, Session]) -> None:
    image, session = random_image(70, 45, dtype=np.uint16), sessions["blur16"]
    assert np.array_equal(answered(session, image, cut(session, image, 32)), oracles.blur(image, SCALE, RADIUS))


def test_a_plane_without_channels_is_seen_as_grey_and_comes_back_without_channels(
    sessions: dict[str, Session],
) -> None:
    alpha, session = random_image(70, 45)[..., 0], sessions["blur"]
    answer = answered(session, alpha, cut(session, alpha, 32))
    assert np.array_equal(answer, oracles.blur(alpha[..., None], SCALE, RADIUS)[..., 0])


# --- how a graph wants its images cut


def facts(**changes: Any) -> Manifest:  # noqa: ANN401 - any field
    return oracles.manifest("planned", scale=4, **changes)


def sides(plan: TilePlan) -> tuple[int, int]:
    return plan.tile_height, plan.tile_width


def test_fast_and_exact_plans_take_the_halo_that_the_manifest_says() -> None:
    both = facts(halo=12).model_copy(update={"halo": 5})
    assert plan_for(both, 400, 400, exact=False, max_tile=100).halo == 5
    assert plan_for(both, 400, 400, exact=True, max_tile=100).halo == 12


def test_tiles_that_are_too_small_for_the_halo_become_larger() -> None:
    assert max(sides(plan_for(facts(halo=40), 400, 400, exact=True, max_tile=64))) == 160
    gridded = facts(halo=0, size_multiple=100)
    assert sides(plan_for(gridded, 1050, 1030, exact=True, max_tile=64)) == (150, 130)


def test_a_network_with_much_work_per_pixel_gets_smaller_tiles() -> None:
    heavy = facts(halo=8, macs_per_lr_pixel=MAX_TILE_MACS // 128**2)
    assert sides(plan_for(heavy, 1000, 1000, exact=True, max_tile=512)) == (128, 128)
    hopeless = facts(halo=8, macs_per_lr_pixel=MAX_TILE_MACS)
    assert sides(plan_for(hopeless, 1000, 1000, exact=True, max_tile=512)) == (48, 48)
    light = facts(halo=8, macs_per_lr_pixel=1)
    assert sides(plan_for(light, 1000, 1000, exact=True, max_tile=512)) == (512, 512)


def test_a_degradation_is_planned_in_pixels_of_its_input() -> None:
    down = facts(halo=5, direction="down", noise="map", size_multiple=4, macs_per_lr_pixel=16)
    plan = plan_for(down, 1000, 1002, exact=True, max_tile=256)
    assert plan.halo == 20
    assert all(tile.top % 16 == tile.left % 16 == tile.core_top % 4 == tile.core_left % 4 == 0 for tile in plan.tiles)
    assert (plan.tile_height % 16, plan.tile_width % 16) == (1000 % 16, 1002 % 16)
    assert down.macs(plan.pixels) == plan.pixels


def test_a_network_of_one_size_is_never_tiled() -> None:
    plan = plan_for(facts(fixed_size=(40, 60)), 40, 60, exact=True, max_tile=16)
    assert [(tile.height, tile.width) for tile in plan.tiles] == [(40, 60)]


def test_a_plane_knows_which_graphs_it_is_for(sessions: dict[str, Session]) -> None:
    kinds = {name: session.manifest for name, session in sessions.items() if name != "blocks"}  # it is like blur
    for name, manifest in kinds.items():
        dtype = np.uint16 if manifest.pixels == "float32" else np.uint8
        plane = Plane.of_graph(random_image(16, 16, dtype=dtype), manifest)
        assert [other for other in kinds if plane.fits(kinds[other])] == [name]


# --- reading and writing


def test_every_16_bit_level_survives_reading_and_writing() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    plane = Plane(levels, 1)
    (tile,) = plan_tiles(256, 256, halo=0, max_tile=256).tiles
    lr = plane.read(tile)
    assert lr.dtype == np.float32
    assert (lr.min(), lr.max()) == (0.0, 1.0)
    plane.write(tile, lr)
    assert np.array_equal(plane.output, levels)


def test_float_answers_are_clipped_and_rounded_to_the_nearest_level() -> None:
    plane = Plane(np.zeros((1, 4, 3), np.uint16), 1)
    (tile,) = plan_tiles(1, 4, halo=0, max_tile=4).tiles
    answers = np.array([-0.5, 1.5, 6.4 / 65535, 6.6 / 65535], np.float32)
    plane.write(tile, np.repeat(answers, 3).reshape(1, 4, 3))
    assert plane.output[0, :, 0].tolist() == [0, 65535, 6, 7]


def test_of_a_plane_without_channels_the_mean_is_kept_to_the_nearest_level() -> None:
    plane = Plane(np.zeros((1, 2), np.uint8), 1)
    (tile,) = plan_tiles(1, 2, halo=0, max_tile=4).tiles
    plane.write(tile, np.array([[[255, 255, 254], [1, 0, 0]]], np.uint8))
    assert plane.output.tolist() == [[255, 0]]


def test_reading_copies_nothing_of_an_8_bit_image() -> None:
    image = random_image(20, 20)
    (tile, *_) = plan_tiles(20, 20, halo=2, max_tile=12).tiles
    assert np.shares_memory(Plane(image, 2).read(tile), image)
    assert np.shares_memory(Plane(image, 2, frame_window=3).read(tile), image)


@pytest.mark.parametrize(
    "source",
    [np.zeros((4, 4, 4), np.uint8), np.zeros((4,), np.uint8), np.zeros((4, 4, 3), np.float32)],
    ids=["four-channels", "one-axis", "float"],
)
def test_a_source_of_another_kind_is_refused(source: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="a plane"):
        Plane(source, 2)


@pytest.mark.parametrize(
    "answer",
    [np.zeros((8, 8, 3), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((8, 8), np.uint8)],
    ids=["type", "size", "axes"],
)
def test_an_answer_that_does_not_fit_its_tile_is_refused(answer: NDArray[Any]) -> None:
    plane = Plane(np.zeros((4, 4, 3), np.uint8), 2)
    with pytest.raises(ValueError, match="no answer for a tile"):
        plane.write(plan_tiles(4, 4, halo=0, max_tile=4).tiles[0], answer)
