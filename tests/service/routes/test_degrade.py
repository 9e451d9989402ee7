"""POST /degrade over a real server: exact pictures, the same for the same seed; a clear problem for every bad one."""

import io
import struct
from typing import Any

import httpx2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.noise import MAX_SEED, Noise
from service.tiling import Tile
from tests import oracle_kinds
from tests.service.pictures import as_file, as_pixels, bomb, format_of, pixels
from tests.service.routes.asking import SMALL, ask_worse, problem

SCALE = 3  # of the model degrading
SEED = 7


def degraded(hr: NDArray[Any], *, seed: int = SEED) -> NDArray[Any]:
    height, width = hr.shape[:2]
    noise = Noise(seed, "map").of(Tile(0, 0, height, width, 0, 0, height, width))
    return oracle_kinds.degrading(hr, noise, SCALE)


def png(image: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.png_encode(image))


# --- good requests


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (64, 64), (65, 64), (200, 151)])
def test_a_picture_comes_back_smaller_with_the_seeds_noise_to_the_bit(
    client: httpx2.Client, size: tuple[int, int]
) -> None:
    hr = pixels(*size)
    answer = ask_worse(client, as_file(hr), seed=SEED)
    assert answer.status_code == 200, answer.text
    assert np.array_equal(as_pixels(answer.content), degraded(hr))
    assert answer.headers["x-sr-size"] == f"{-(-size[1] // SCALE)}x{-(-size[0] // SCALE)}"
    assert (int(answer.headers["x-sr-tiles"]) > 1) == (max(size) > 64)


@pytest.mark.parametrize("tiling", ["fast", "exact"])
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(client: httpx2.Client, tiling: str) -> None:
    content = as_file(pixels(80, 90))
    first, again, other = (ask_worse(client, content, seed=seed, tiling=tiling) for seed in (1, 1, 2))
    assert first.content == again.content
    assert first.content != other.content
    assert [answer.headers["x-sr-seed"] for answer in (first, other)] == ["1", "2"]


def test_without_a_seed_one_is_drawn_and_told(client: httpx2.Client) -> None:
    content = as_file(pixels(20, 20))
    first, second = ask_worse(client, content), ask_worse(client, content)
    assert first.content != second.content
    again = ask_worse(client, content, seed=first.headers["x-sr-seed"])
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("seed", [0, MAX_SEED])
def test_the_first_and_the_last_seed_are_taken(client: httpx2.Client, seed: int) -> None:
    hr = pixels(30, 31)
    assert np.array_equal(as_pixels(ask_worse(client, as_file(hr), seed=seed).content), degraded(hr, seed=seed))


def test_alpha_is_averaged_without_noise(client: httpx2.Client) -> None:
    hr = pixels(70, 31, channels=4)
    hr[..., 3] |= 1  # nothing is wholly transparent, so no colour is hidden
    lr = as_pixels(ask_worse(client, as_file(hr), seed=SEED).content)
    assert np.array_equal(lr[..., :3], degraded(hr[..., :3]))
    for row in range(lr.shape[0]):
        for column in range(lr.shape[1]):
            box = hr[row * SCALE : (row + 1) * SCALE, column * SCALE : (column + 1) * SCALE, 3].astype(int)
            assert lr[row, column, 3] == (box.sum() + box.size // 2) // box.size


def test_an_alpha_that_hides_nothing_stays_full(client: httpx2.Client) -> None:
    hr = pixels(40, 40, channels=4)
    hr[..., 3] = 255
    lr = as_pixels(ask_worse(client, as_file(hr), seed=SEED).content)
    assert lr.shape[2] == 4
    assert (lr[..., 3] == 255).all()


def test_sixteen_bits_stay_sixteen(client: httpx2.Client) -> None:
    hr = np.random.default_rng(0).integers(0, 2**16, (70, 40, 3), dtype=np.uint16)
    answer = ask_worse(client, png(hr), seed=SEED)
    assert np.array_equal(imagecodecs.png_decode(answer.content), degraded(hr))


def test_grey_stays_grey(client: httpx2.Client) -> None:
    hr = pixels(40, 50, channels=1)
    answer = as_pixels(ask_worse(client, as_file(hr[..., 0]), seed=SEED).content)
    assert np.array_equal(answer, degraded(np.repeat(hr, 3, axis=2))[..., 0])


def test_the_profile_stays_and_stated_sizes_are_corrected(client: httpx2.Client) -> None:
    hr = Image.fromarray(pixels(30, 60))
    exif = hr.getexif()
    exif[0x0110] = "Camera"
    exif.get_ifd(0x8769).update({0xA002: 60, 0xA003: 30})
    content = as_file(np.asarray(hr), "PNG", exif=exif, icc_profile=_profile())
    answer = ask_worse(client, content, seed=SEED)
    with Image.open(io.BytesIO(answer.content)) as lr:
        assert lr.getexif()[0x0110] == "Camera"
        ifd = lr.getexif().get_ifd(0x8769)
        assert (ifd[0xA002], ifd[0xA003]) == (20, 10)
        assert lr.info["icc_profile"] == _profile()


def _profile() -> bytes:
    """The least that passes for an RGB profile."""
    header = bytearray(128)
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[:4] = struct.pack(">I", 132)
    return bytes(header) + bytes(4)


def test_a_network_with_a_noise_vector_takes_its_one_size(client: httpx2.Client) -> None:
    side = oracle_kinds.FIXED_HR_SIDE
    hr = pixels(side, side)
    answer = ask_worse(client, as_file(hr), model="degrading-once", seed=SEED)
    noise = Noise(SEED, "vector").of(Tile(0, 0, side, side, 0, 0, side, side))
    assert np.array_equal(as_pixels(answer.content), oracle_kinds.degrading_once(hr, noise, 2))


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "avif", "tiff"])
def test_format_chooses_the_answers_format(client: httpx2.Client, name: str) -> None:
    answer = ask_worse(client, format=name, seed=SEED)
    assert answer.headers["content-type"] == f"image/{name}"
    assert format_of(answer.content) == name.upper()


def test_a_form_is_as_good_as_raw_bytes(client: httpx2.Client) -> None:
    raw = ask_worse(client, seed=SEED)
    form = client.post("/degrade", params={"model": "degrading", "seed": str(SEED)}, files={"file": ("a.png", SMALL)})
    assert form.content == raw.content


def test_the_scale_may_be_given_where_there_is_only_one(client: httpx2.Client) -> None:
    assert ask_worse(client, seed=SEED, scale=SCALE).content == ask_worse(client, seed=SEED).content


# --- bad requests


@pytest.mark.parametrize("size", [(16, 17), (15, 16), (1, 1), (32, 32)])
def test_a_network_of_one_size_refuses_any_other_by_name(client: httpx2.Client, size: tuple[int, int]) -> None:
    answer = ask_worse(client, as_file(pixels(*size)), model="degrading-once", seed=SEED)
    members = problem(answer, 422, "wrong-size")
    assert (members["supported"], members["actual"]) == (["16x16"], f"{size[1]}x{size[0]}")


def test_a_model_that_enlarges_is_told_its_own_path(client: httpx2.Client) -> None:
    members = problem(ask_worse(client, model="nearest"), 422, "wrong-endpoint")
    assert members["endpoint"] == "/upscale"
    assert "POST /upscale?model=nearest" in members["detail"]


@pytest.mark.parametrize("seed", ["-1", str(MAX_SEED + 1), "seven", "1.5", ""])
def test_a_seed_out_of_range_is_refused_by_name(client: httpx2.Client, seed: str) -> None:
    members = problem(ask_worse(client, seed=seed), 422, "bad-parameter")
    assert (members["errors"][0]["parameter"], members["errors"][0]["actual"]) == ("seed", seed)


@pytest.mark.parametrize("scale", [1, 2, 4, 0, -3])
def test_a_scale_that_the_model_has_not_is_refused(client: httpx2.Client, scale: int) -> None:
    assert problem(ask_worse(client, scale=scale), 422, "unsupported-scale")["supported"] == [SCALE]


@pytest.mark.parametrize("name", ["ensemble", "width", "noise"])
def test_a_parameter_of_other_endpoints_is_refused_with_those_there_are(client: httpx2.Client, name: str) -> None:
    members = problem(ask_worse(client, **dict[str, Any]({name: "1"})), 422, "bad-parameter")
    assert members["known"] == ["model", "scale", "seed", "format", "quality", "compression", "tiling", "metadata"]


def test_limits_are_those_of_upscale(client: httpx2.Client) -> None:
    problem(ask_worse(client, bomb(8000, 4001)), 422, "too-many-pixels")
    problem(ask_worse(client, b"hello"), 415, "unsupported-media")
    problem(ask_worse(client, as_file(pixels(8, 8, channels=4)), format="jpeg"), 422, "alpha-not-representable")
    problem(ask_worse(client, png(np.zeros((16, 16, 3), np.uint16)), model="degrading-once"), 422, "float-unsupported")
    problem(ask_worse(client, model="h2l"), 404, "unknown-model")
    assert problem(client.post("/degrade", content=SMALL), 422, "bad-parameter")["parameter"] == "model"
