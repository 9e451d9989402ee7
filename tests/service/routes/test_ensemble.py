"""POST /upscale with ensemble=true: the exact mean of eight orientations, where a model has one."""

import httpx2
import imagecodecs
import numpy as np
import pytest

from tests import oracle_kinds, oracles
from tests.service.pictures import as_file, as_pixels, pixels
from tests.service.routes.asking import ask, problem


def test_the_answer_is_the_mean_of_eight_orientations_to_the_bit(client: httpx2.Client) -> None:
    lr = pixels(90, 130, channels=4, below=32) * 8
    lr[..., 3] = np.maximum(lr[..., 3], 8)  # nothing is wholly transparent, so no colour is hidden
    plain, ensemble = (ask(client, as_file(lr), model="oriented", ensemble=value) for value in ("false", "true"))
    assert np.array_equal(as_pixels(plain.content), oracle_kinds.oriented(lr, 2))
    assert np.array_equal(as_pixels(ensemble.content), oracle_kinds.oriented_ensemble(lr, 2))
    assert ensemble.headers["x-sr-ensemble"] == "x8"
    assert int(ensemble.headers["x-sr-tiles"]) > 2
    assert "x-sr-ensemble" not in plain.headers


def test_sixteen_bits_stay_sixteen(client: httpx2.Client) -> None:
    lr = (np.random.default_rng(0).integers(0, 2**13, (70, 40, 3)) * 8).astype(np.uint16)
    answer = ask(client, bytes(imagecodecs.png_encode(lr)), model="oriented", ensemble="true")
    assert np.array_equal(imagecodecs.png_decode(answer.content), oracle_kinds.oriented_ensemble(lr, 2))


def test_it_goes_together_with_a_size(client: httpx2.Client) -> None:
    answer = ask(client, as_file(pixels(20, 30)), scale=1.5, ensemble="true")
    assert answer.headers["x-sr-size"] == "45x30"
    lr = pixels(20, 30)
    assert np.array_equal(
        as_pixels(ask(client, as_file(lr), ensemble="true").content), oracles.nearest(lr, 2)
    )  # nearest neighbour is the same in every orientation


@pytest.mark.parametrize(("model", "why"), [("clip", "frames"), ("fixed", "one size"), ("blur", "no float32 graph")])
def test_a_model_without_one_says_why(client: httpx2.Client, model: str, why: str) -> None:
    content = as_file(pixels(*oracle_kinds.FIXED_SIZE))
    assert why in problem(ask(client, content, model=model, ensemble="true"), 422, "ensemble-unsupported")["detail"]


def test_a_value_that_is_no_truth_is_refused_by_name(client: httpx2.Client) -> None:
    assert problem(ask(client, ensemble="8"), 422, "bad-parameter")["errors"][0]["parameter"] == "ensemble"
