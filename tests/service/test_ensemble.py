"""The ensemble is the mean of eight unquantised answers, rounded once; its tiles are the whole image's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.ensemble import RUNS, EnsembleSession
from service.errors import InferenceFailed, ModelOutputInvalid
from service.planes import MAX_TILE_MACS, Plane, batch_of, plan_for
from service.sessions import Session
from tests import oracle_kinds, oracles

SCALE = 2


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    proto = oracle_kinds.oriented_graph(SCALE, "float32")
    path = oracles.save_graph(tmp_path_factory.mktemp("store"), "oriented", SCALE, proto)
    return Session.open(path, device="cpu", threads=1)


def eighths(height: int, width: int, *, wide: bool = False) -> NDArray[Any]:
    """Random multiples of 8, for which the oracle has no ties."""
    top, dtype = (2**13, np.uint16) if wide else (32, np.uint8)
    return (np.random.default_rng(0).integers(0, top, (height, width, 3)) * 8).astype(dtype)


def tiled(ensemble: EnsembleSession, image: NDArray[Any], max_tile: int) -> tuple[NDArray[Any], int]:
    plane = Plane.of_graph(image, ensemble.manifest)
    plan = plan_for(ensemble.manifest, *image.shape[:2], exact=True, max_tile=max_tile)
    for tile in plan.tiles:
        (answer,) = ensemble.run(*batch_of([(plane, tile)]))
        plane.write(tile, answer)
    return plane.output, len(plan.tiles)


def test_every_picture_of_a_batch_gets_the_mean_of_its_own_orientations(session: Session) -> None:
    ensemble = EnsembleSession(session, pixels="uint8")
    images = [eighths(9, 14), eighths(9, 14)[::-1]]
    answers = ensemble.run(np.stack(images))
    assert answers.dtype == np.uint8
    for image, answer in zip(images, answers, strict=True):
        assert np.array_equal(answer, oracle_kinds.oriented_ensemble(image, SCALE))
        assert not np.array_equal(answer, oracle_kinds.oriented(image, SCALE))


def test_answers_are_averaged_before_they_are_rounded(session: Session) -> None:
    image = eighths(20, 20)
    rounded = [
        np.rot90(np.rot90(picture, -turns)[:, :: -1 if mirrored else 1])
        for turns in range(4)
        for mirrored in (False, True)
        for picture in [oracle_kinds.oriented(np.rot90(image[:, :: -1 if mirrored else 1], turns), SCALE).astype(float)]
    ]
    too_early = np.rint(np.rot90(np.mean(rounded, axis=0), -1)).astype(np.uint8)
    answer = EnsembleSession(session, pixels="uint8").run(image[np.newaxis])[0]
    assert not np.array_equal(answer, too_early)
    assert np.abs(answer.astype(int) - too_early).max() == 1


def test_float_pixels_stay_unclipped_floats(session: Session) -> None:
    pixels = np.full((1, 6, 7, 3), 3, np.float32)
    pixels[:, :3] = -3
    answer = EnsembleSession(session, pixels="float32").run(pixels)
    assert answer.dtype == np.float32
    assert (answer.min(), answer.max()) == (pytest.approx(-12 / 5), pytest.approx(12 / 5))


@given(height=st.integers(1, 60), width=st.integers(1, 60), max_tile=st.integers(6, 30), wide=st.booleans())
@settings(max_examples=40, deadline=None)
def test_tiled_equals_untiled(session: Session, height: int, width: int, max_tile: int, wide: bool) -> None:
    image = eighths(height, width, wide=wide)
    answer, _ = tiled(EnsembleSession(session, pixels="float32" if wide else "uint8"), image, max_tile)
    assert np.array_equal(answer, oracle_kinds.oriented_ensemble(image, SCALE))


def test_a_network_on_a_grid_has_an_ensemble_without_seams(tmp_path: Path) -> None:
    proto = oracle_kinds.blocks_graph(1, 4, pixels="float32")
    grid = Session.open(oracles.save_graph(tmp_path, "blocks", 1, proto), device="cpu", threads=1)
    ensemble = EnsembleSession(grid, pixels="uint8")
    for height, width in ((50, 61), (37, 42), (24, 24)):
        image = eighths(height, width)
        answer, tiles = tiled(ensemble, image, 23)
        assert tiles > 1
        assert np.array_equal(answer, ensemble.run(image[np.newaxis])[0])


def test_it_costs_eight_times_the_work_so_its_tiles_are_smaller(session: Session) -> None:
    facts = session.manifest.model_copy(update={"macs_per_lr_pixel": MAX_TILE_MACS // 256**2})
    dear = Session.__new__(Session)
    dear.manifest = facts
    ensemble = EnsembleSession(dear, pixels="uint8").manifest
    assert ensemble.macs(100) == RUNS * facts.macs(100)
    plans = [plan_for(each, 1000, 1000, exact=True, max_tile=512) for each in (facts, ensemble)]
    assert [plan.tile_height for plan in plans] == [256, 90]


def test_a_failing_network_fails_as_it_does_alone(tmp_path: Path, session: Session) -> None:
    path = oracles.save_graph(tmp_path, "nan", 2, oracles.not_a_number_graph())
    broken = EnsembleSession(Session.open(path, device="cpu", threads=1), pixels="uint8")
    with pytest.raises(ModelOutputInvalid):
        broken.run(np.full((1, 4, 4, 3), 255, np.uint8))
    with pytest.raises(InferenceFailed):
        EnsembleSession(session, pixels="uint8").run(np.zeros((1, 4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="no noise"):
        EnsembleSession(session, pixels="uint8").run(
            np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 1), np.float32)
        )
