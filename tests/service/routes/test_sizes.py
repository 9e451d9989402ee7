"""POST /upscale with a fractional scale, width or height: the next larger scale runs, and its answer is reduced."""

from typing import Any

import httpx2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import oracles
from tests.service.pictures import as_file, as_pixels, bomb, pixels
from tests.service.routes.asking import ask, problem


def reduced(sr: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Pillow's Lanczos, channel by channel."""
    planes = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(sr[..., channel])).resize((width, height), Image.Resampling.LANCZOS)
        )
        for channel in range(sr.shape[2])
    ]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize(
    ("wish", "native", "size"),
    [
        ({"scale": 1.5}, 2, (135, 105)),
        ({"scale": 2.5}, 3, (225, 175)),
        ({"scale": 1}, 2, (90, 70)),
        ({"width": 200}, 3, (257, 200)),
        ({"height": 100}, 2, (100, 78)),
        ({"width": 100, "height": 300}, 4, (300, 100)),
    ],
)
def test_the_answer_has_the_size_asked_for_to_the_bit(
    client: httpx2.Client, wish: dict[str, Any], native: int, size: tuple[int, int]
) -> None:
    lr = pixels(90, 70, channels=4)
    lr[..., 3] |= 1  # nothing is wholly transparent, so no colour is hidden
    answer = ask(client, as_file(lr), **({"scale": None} | wish))
    assert answer.status_code == 200, answer.text
    assert np.array_equal(as_pixels(answer.content), reduced(oracles.nearest(lr, native), *size))
    headers = answer.headers
    assert (headers["x-sr-scale"], headers["x-sr-reduction"]) == (str(native), "lanczos")
    assert headers["x-sr-size"] == f"{size[1]}x{size[0]}"


@pytest.mark.parametrize("wish", [{"scale": 3}, {"scale": "3.0"}, {"width": 120}, {"height": 150, "width": 120}])
def test_a_size_that_a_scale_makes_is_not_reduced(client: httpx2.Client, wish: dict[str, Any]) -> None:
    lr = pixels(50, 40)
    answer = ask(client, as_file(lr), **({"scale": None} | wish))
    assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 3))
    assert answer.headers["x-sr-scale"] == "3"
    assert "x-sr-reduction" not in answer.headers


def test_sixteen_bits_stay_sixteen(client: httpx2.Client) -> None:
    lr = np.random.default_rng(0).integers(0, 2**16, (40, 30, 3), dtype=np.uint16)
    answer = ask(client, bytes(imagecodecs.png_encode(lr)), scale=2.5)
    assert np.array_equal(imagecodecs.png_decode(answer.content), reduced(oracles.nearest(lr, 3), 100, 75))


def test_an_alpha_that_hides_nothing_stays_full(client: httpx2.Client) -> None:
    lr = pixels(40, 30, channels=4)
    lr[..., 3] = 255
    assert (as_pixels(ask(client, as_file(lr), scale=1.7).content)[..., 3] == 255).all()


@pytest.mark.parametrize("wish", [{"width": 0}, {"height": -1}, {"width": "1.5"}, {"height": "high"}])
def test_a_side_that_is_no_number_is_refused_by_name(client: httpx2.Client, wish: dict[str, Any]) -> None:
    members = problem(ask(client, scale=None, **wish), 422, "bad-parameter")
    assert members["errors"][0]["parameter"] == next(iter(wish))


def test_a_side_out_of_range_is_told_the_range(client: httpx2.Client) -> None:
    members = problem(ask(client, scale=None, width=29), 422, "unsupported-scale")
    assert (members["parameter"], members["limit"], members["actual"]) == ("width", [7, 28], 29)


def test_scale_and_width_exclude_each_other(client: httpx2.Client) -> None:
    problem(ask(client, scale=2, width=14), 422, "bad-parameter")


def test_the_limit_of_pixels_is_that_of_the_scale_that_runs(client: httpx2.Client) -> None:
    members = problem(ask(client, bomb(4000, 2001), scale=3.5), 422, "output-too-large")
    assert (members["limit"], members["actual"]) == (128_000_000, 4000 * 2001 * 16)
    assert "before it is reduced from scale 4" in members["detail"]
