"""POST /upscale over a real server: exact pictures for good requests, and a clear problem for every bad one."""

from typing import Any

import httpx2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests import oracle_kinds, oracles
from tests.conftest import BLOCK_SIDE, MODELS, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, bomb, format_of, pixels
from tests.service.routes.asking import SMALL, ask, problem

# --- good requests


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (64, 64), (65, 64), (150, 201)])
def test_a_picture_comes_back_larger_to_the_bit(client: httpx2.Client, scale: int, size: tuple[int, int]) -> None:
    lr = pixels(*size)
    answer = ask(client, as_file(lr), scale=scale)
    assert answer.status_code == 200
    assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, scale))


def test_a_model_with_one_scale_needs_not_be_told_it(client: httpx2.Client) -> None:
    lr = pixels(9, 7)
    answer = client.post("/upscale?model=blur", content=as_file(lr))
    assert np.array_equal(as_pixels(answer.content), oracles.blur(lr, 2))


@pytest.mark.parametrize("tiling", ["fast", "exact"])
def test_tiles_leave_no_seam(client: httpx2.Client, tiling: str) -> None:
    lr = pixels(176, 176)  # one LR pixel less of halo would do with fewer tiles, and show
    answer = ask(client, as_file(lr), model="blur", tiling=tiling)
    assert answer.headers["x-sr-tiles"] == "16"
    assert np.array_equal(as_pixels(answer.content), oracles.blur(lr, 2))


def test_exact_tiling_takes_the_whole_receptive_field_and_fast_tiling_the_measured_one(client: httpx2.Client) -> None:
    lr = pixels(176, 176)
    fast, exact = (ask(client, as_file(lr), model="rough", tiling=tiling) for tiling in ("fast", "exact"))
    assert (fast.headers["x-sr-tiling"], fast.headers["x-sr-tiles"]) == ("fast", "9")
    assert (exact.headers["x-sr-tiling"], exact.headers["x-sr-tiles"]) == ("exact", "16")
    assert not np.array_equal(as_pixels(fast.content), oracles.blur(lr, 2))
    assert np.array_equal(as_pixels(exact.content), oracles.blur(lr, 2))


@pytest.mark.parametrize("size", [(176, 176), (175, 130), (70, 3)])
def test_a_network_that_works_in_blocks_leaves_no_seam(client: httpx2.Client, size: tuple[int, int]) -> None:
    lr = pixels(*size)
    answer = ask(client, as_file(lr), model="blocks")
    assert int(answer.headers["x-sr-tiles"]) > 1
    assert np.array_equal(as_pixels(answer.content), oracle_kinds.blocks(lr, 2, BLOCK_SIDE))


@pytest.mark.parametrize("bits", [8, 16])
def test_to_a_network_of_frames_a_picture_is_a_clip_of_one_frame(client: httpx2.Client, bits: int) -> None:
    lr = np.random.default_rng(0).integers(1, 2**bits, (70, 90, 4)).astype(np.uint8 if bits == 8 else np.uint16)
    answer = ask(client, bytes(imagecodecs.png_encode(lr)), model="clip")
    assert np.array_equal(imagecodecs.png_decode(answer.content), oracles.nearest(lr, 2))


def test_a_network_of_one_size_takes_a_picture_of_that_size(client: httpx2.Client) -> None:
    lr = pixels(*oracle_kinds.FIXED_SIZE, channels=4)
    lr[..., 3] |= 1
    answer = ask(client, as_file(lr), model="fixed", tiling="exact")
    assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 2))


@pytest.mark.parametrize("size", [(20, 12), (12, 21), (11, 20), (1, 1)])
def test_a_network_of_one_size_refuses_any_other_by_name(client: httpx2.Client, size: tuple[int, int]) -> None:
    members = problem(ask(client, as_file(pixels(*size)), model="fixed"), 422, "wrong-size")
    assert (members["supported"], members["actual"]) == (["20x12"], f"{size[1]}x{size[0]}")
    assert "20x12" in members["detail"]


def test_a_degradation_is_told_its_own_path(client: httpx2.Client) -> None:
    members = problem(ask(client, model="degrading", scale=3), 422, "wrong-endpoint")
    assert members["endpoint"] == "/degrade"
    assert "POST /degrade?model=degrading" in members["detail"]


def test_alpha_goes_through_the_network_as_a_picture_of_its_own(client: httpx2.Client) -> None:
    lr = pixels(70, 30, channels=4)
    lr[..., 3] |= 1  # nothing is wholly transparent, so no colour is hidden
    answer = ask(client, as_file(lr), model="blur")
    assert np.array_equal(as_pixels(answer.content), oracles.blur(lr, 2))
    assert answer.headers["x-sr-tiles"] == "4"


def test_an_alpha_that_hides_nothing_stays_full_and_costs_nothing(client: httpx2.Client) -> None:
    lr = pixels(70, 30, channels=4)
    lr[..., 3] = 255
    answer = ask(client, as_file(lr), model="blur")
    sr = as_pixels(answer.content)
    assert np.array_equal(sr[..., :3], oracles.blur(lr[..., :3], 2))
    assert (sr[..., 3] == 255).all()  # the blur itself darkens an image's border
    assert answer.headers["x-sr-tiles"] == "2"


def test_sixteen_bits_stay_sixteen(client: httpx2.Client) -> None:
    lr = np.random.default_rng(0).integers(0, 2**16, (70, 40, 3), dtype=np.uint16)
    answer = ask(client, bytes(imagecodecs.png_encode(lr)), scale=3)
    assert np.array_equal(imagecodecs.png_decode(answer.content), oracles.nearest(lr, 3))


def test_grey_stays_grey(client: httpx2.Client) -> None:
    lr = pixels(70, 40, channels=1)[..., 0]
    assert np.array_equal(as_pixels(ask(client, as_file(lr)).content), oracles.nearest(lr, 2))


def test_a_form_is_as_good_as_raw_bytes(client: httpx2.Client) -> None:
    raw = ask(client)
    files = {"file": ("a.png", SMALL, "image/png")}
    form = client.post("/upscale", params={"model": "nearest", "scale": "2"}, files=files)
    assert form.status_code == 200
    assert form.content == raw.content


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/*", "application/octet-stream", "application/x-www-form-urlencoded", ""]
)
def test_raw_bytes_may_come_under_any_of_these_types(client: httpx2.Client, content_type: str) -> None:
    assert ask(client, headers={"Content-Type": content_type}).status_code == 200


def test_a_body_of_unknown_length_is_read(client: httpx2.Client) -> None:
    lr = pixels(40, 50)
    whole = as_file(lr)
    parts = (whole[start : start + 1000] for start in range(0, len(whole), 1000))
    answer = client.post("/upscale", params={"model": "nearest", "scale": "2"}, content=parts)
    assert np.array_equal(as_pixels(answer.content), oracles.nearest(lr, 2))


def test_the_answer_says_how_it_was_made(client: httpx2.Client) -> None:
    answer = ask(client, headers={"X-Request-ID": "my-id"})
    headers = answer.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(answer.content))
    assert headers["x-request-id"] == "my-id"
    assert headers["x-sr-model"] == "nearest"
    assert len(headers["x-sr-model-version"]) == 12
    assert headers["x-sr-scale"] == "2"
    assert headers["x-sr-size"] == "14x18"
    assert not {"x-sr-reduction", "x-sr-ensemble", "x-sr-seed"} & set(headers)
    assert headers["x-sr-tiles"] == "1"
    assert headers["x-sr-tiling"] == "fast"
    assert headers["x-sr-device"] == "cpu"
    assert headers["x-content-type-options"] == "nosniff"
    stages = [stage.split(";dur=") for stage in headers["server-timing"].split(", ")]
    assert [name for name, _ in stages] == ["read", "decode", "queue", "infer", "encode"]
    assert all(float(milliseconds) >= 0 for _, milliseconds in stages)


def test_one_line_is_logged_with_stages_and_facts(live_server: LiveServer, client: httpx2.Client) -> None:
    ask(client, as_file(pixels(10, 20)), scale=3, headers={"X-Request-ID": "logged-once"})

    def line() -> list[dict[str, Any]]:
        return [line for line in live_server.lines() if line["request_id"] == "logged-once"]

    assert eventually(lambda: len(line()) == 1)
    (logged,) = line()
    facts = ("method", "path", "status", "model", "scale", "tiles", "input_pixels", "input_format", "format")
    assert [logged[fact] for fact in facts] == ["POST", "/upscale", 200, "nearest", 3, 1, 200, "png", "png"]
    assert set(logged["stages"]) == {"read", "decode", "queue", "infer", "encode"}


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "avif", "tiff"])
def test_format_chooses_the_answers_format(client: httpx2.Client, name: str) -> None:
    answer = ask(client, format=name)
    assert answer.headers["content-type"] == f"image/{name}"
    assert format_of(answer.content) == name.upper()
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("*/*", "png"),
        ("image/*", "png"),
        ("image/webp", "webp"),
        ("image/webp;q=0.5, image/jpeg", "jpeg"),
        ("text/html, image/avif;q=0.1", "avif"),
    ],
)
def test_without_format_the_accept_header_chooses(client: httpx2.Client, accept: str, name: str) -> None:
    answer = ask(client, headers={"Accept": accept})
    assert format_of(answer.content) == name.upper()
    assert answer.headers["vary"] == "Accept"


def test_quality_makes_the_difference(client: httpx2.Client) -> None:
    content = as_file(pixels(64, 64))
    sizes = [len(ask(client, content, format="jpeg", quality=quality).content) for quality in (10, 95)]
    assert sizes[0] < sizes[1]


# --- bad parameters


def test_a_missing_model_is_told_the_models(client: httpx2.Client) -> None:
    answer = client.post("/upscale", params={"scale": "2"}, content=SMALL)
    assert problem(answer, 422, "bad-parameter")["available"] == MODELS


def test_a_missing_scale_is_told_the_models_scales(client: httpx2.Client) -> None:
    answer = client.post("/upscale", params={"model": "nearest"}, content=SMALL)
    assert problem(answer, 422, "bad-parameter")["available"] == [2, 3, 4]


def test_an_unknown_model_is_told_the_models(client: httpx2.Client) -> None:
    members = problem(ask(client, model="esrgan"), 404, "unknown-model")
    assert members["available"] == MODELS


def test_an_unsupported_scale_is_told_the_models_scales(client: httpx2.Client) -> None:
    assert problem(ask(client, scale=9), 422, "unsupported-scale")["supported"] == [2, 3, 4]


@pytest.mark.parametrize("scale", ["", "four", "2,5", "0x4", "4" * 5000, "NaN", "inf", "2 or 3", "²"])
def test_a_scale_that_is_no_number_is_refused_by_name(client: httpx2.Client, scale: str) -> None:
    members = problem(ask(client, scale=scale), 422, "bad-parameter")
    assert members["errors"][0]["parameter"] == "scale"
    assert len(members["detail"]) < 400


@pytest.mark.parametrize("scale", [0, -2, 10**18, "1e9", 0.5])
def test_an_absurd_scale_is_told_the_models_scales(client: httpx2.Client, scale: object) -> None:
    assert problem(ask(client, scale=scale), 422, "unsupported-scale")["supported"] == [2, 3, 4]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "high"),
        ("tiling", "none"),
        ("metadata", "some"),
        ("model", "x" * 65),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(client: httpx2.Client, name: str, value: str) -> None:
    members = problem(ask(client, **dict[str, Any]({"model": "nearest", name: value})), 422, "bad-parameter")
    assert members["errors"][0]["parameter"] == name
    assert members["errors"][0]["actual"] == value
    assert value in members["detail"]


@pytest.mark.parametrize("name", ["bmp", "", "gif", "x" * 500])
def test_a_format_that_is_not_written_is_told_those_that_are(client: httpx2.Client, name: str) -> None:
    members = problem(ask(client, format=name), 422, "bad-parameter")
    assert members["parameter"] == "format"
    assert members["supported"] == ["png", "jpeg", "webp", "avif", "tiff"]
    assert len(members["detail"]) < 200


def test_several_bad_values_are_told_at_once(client: httpx2.Client) -> None:
    members = problem(ask(client, quality=0, tiling="none"), 422, "bad-parameter")
    assert [error["parameter"] for error in members["errors"]] == ["quality", "tiling"]


def test_an_unknown_parameter_is_told_the_known_ones(client: httpx2.Client) -> None:
    members = problem(ask(client, qualty=5), 422, "bad-parameter")
    sizes, form = ["scale", "width", "height"], ["format", "quality", "compression", "tiling", "ensemble", "metadata"]
    assert members["known"] == ["model", *sizes, *form]
    assert "did you mean quality?" in members["detail"]


def test_a_parameter_given_twice_is_refused(client: httpx2.Client) -> None:
    answer = client.post("/upscale?model=nearest&scale=2&scale=3", content=SMALL)
    assert problem(answer, 422, "bad-parameter")["parameter"] == "scale"


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/png;q=0, text/*"])
def test_an_accept_header_with_no_format_of_ours_is_refused(client: httpx2.Client, accept: str) -> None:
    problem(ask(client, headers={"Accept": accept}), 406, "not-acceptable")


def test_transparency_is_not_lost_in_a_format_that_has_none(client: httpx2.Client) -> None:
    lr = pixels(8, 8, channels=4)
    problem(ask(client, as_file(lr), format="jpeg"), 422, "alpha-not-representable")


# --- bad bodies


def test_an_empty_body_is_refused(client: httpx2.Client) -> None:
    problem(ask(client, b""), 400, "empty-body")


def test_a_declared_length_above_the_limit_is_refused_before_it_is_read(client: httpx2.Client) -> None:
    members = problem(ask(client, bytes(32 * 2**20 + 1)), 413, "body-too-large")
    assert (members["limit"], members["actual"]) == (32 * 2**20, 32 * 2**20 + 1)


def test_an_undeclared_length_above_the_limit_is_refused_when_it_is_reached(client: httpx2.Client) -> None:
    parts = (bytes(2**20) for _ in range(40))
    answer = client.post("/upscale", params={"model": "nearest", "scale": "2"}, content=parts)
    members = problem(answer, 413, "body-too-large")
    assert members["actual"] > members["limit"] == 32 * 2**20
    assert ask(client).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "video/mp4"])
def test_a_type_that_is_no_picture_is_refused(client: httpx2.Client, content_type: str) -> None:
    problem(ask(client, headers={"Content-Type": content_type}), 415, "unsupported-media")


def test_bytes_of_another_type_than_declared_are_refused(client: httpx2.Client) -> None:
    members = problem(ask(client, headers={"Content-Type": "image/jpeg"}), 415, "media-type-mismatch")
    assert (members["declared"], members["actual"]) == ("image/jpeg", "image/png")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"hello", id="text"),
        pytest.param(b"\x00" * 1000, id="zeros"),
        pytest.param(b"GIF89a" + b"\x01\x00" * 10, id="gif"),
        pytest.param(b"%PDF-1.7\n", id="pdf"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(b"http://169.254.169.254/latest/meta-data", id="address"),
    ],
)
def test_bytes_that_are_no_picture_of_ours_are_refused(client: httpx2.Client, content: bytes) -> None:
    problem(ask(client, content), 415, "unsupported-media")


def test_a_truncated_picture_is_refused(client: httpx2.Client) -> None:
    whole = as_file(pixels(60, 60))
    problem(ask(client, whole[: len(whole) // 2]), 422, "undecodable-image")


@pytest.mark.parametrize(
    ("width", "height"),
    [(8000, 4001), (100_000, 100_000), (2**31 - 1, 2**31 - 1)],
    ids=["just-over", "large", "largest"],
)
def test_a_bomb_is_refused_by_its_header(client: httpx2.Client, width: int, height: int) -> None:
    members = problem(ask(client, bomb(width, height)), 422, "too-many-pixels")
    assert members["limit"] in (32_000_000, 16_384)
    assert members["actual"] > members["limit"]


def test_too_long_a_side_is_refused(client: httpx2.Client) -> None:
    members = problem(ask(client, bomb(16_385, 1)), 422, "too-many-pixels")
    assert (members["limit"], members["actual"]) == (16_384, 16_385)


def test_a_picture_without_pixels_is_refused(client: httpx2.Client) -> None:
    assert 400 <= ask(client, bomb(0, 0)).status_code < 500


def test_too_large_an_answer_is_refused_by_the_header(client: httpx2.Client) -> None:
    members = problem(ask(client, bomb(4000, 2001), scale=4), 422, "output-too-large")
    assert (members["limit"], members["actual"]) == (128_000_000, 4000 * 2001 * 16)


def test_sixteen_bits_are_refused_where_the_model_cannot(client: httpx2.Client) -> None:
    content = bytes(imagecodecs.png_encode(np.zeros((4, 4, 3), np.uint16)))
    problem(ask(client, content, model="blur"), 422, "float-unsupported")


def test_an_animated_picture_is_refused(client: httpx2.Client) -> None:
    frames = [Image.fromarray(pixels(8, 8, seed=seed)) for seed in (1, 2, 3)]
    content = as_file(pixels(8, 8), "WEBP", save_all=True, append_images=frames)
    members = problem(ask(client, content), 422, "animated-image")
    assert members["actual"] == 4


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        pytest.param([("picture", ("a.png", SMALL))], 400, "missing-file", id="another-name"),
        pytest.param([("file", ("a.png", SMALL)), ("file", ("b.png", SMALL))], 400, "too-many-parts", id="two"),
        pytest.param([("file", ("a.png", b""))], 400, "empty-body", id="empty"),
        pytest.param([("file", ("a.txt", b"hello", "text/plain"))], 415, "unsupported-media", id="text"),
        pytest.param([("file", ("a.jpg", SMALL, "image/jpeg"))], 415, "media-type-mismatch", id="mislabelled"),
    ],
)
def test_a_form_without_one_good_file_is_refused(
    client: httpx2.Client, files: list[Any], status: int, code: str
) -> None:
    problem(client.post("/upscale", params={"model": "nearest", "scale": "2"}, files=files), status, code)


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b"--a\r\n"),
        ("multipart/form-data; boundary=a", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=a", b'--a\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'),
        ("multipart/form-data; boundary=a", b""),
    ],
    ids=["no-boundary", "another-boundary", "no-end", "nothing"],
)
def test_a_broken_form_is_refused(client: httpx2.Client, content_type: str, content: bytes) -> None:
    answer = ask(client, content, headers={"Content-Type": content_type})
    problem(answer, 400, "malformed-multipart")


# --- our own failures


def test_a_network_that_fails_is_a_500_that_may_be_retried(live_server: LiveServer, client: httpx2.Client) -> None:
    lr = np.full((20, 20, 3), oracles.POISON, np.uint8)
    answer = ask(client, as_file(lr), model="poison", headers={"X-Request-ID": "poisoned"})
    assert problem(answer, 500, "inference-failed")["retryable"] is True

    def logged() -> list[dict[str, Any]]:
        return [line for line in live_server.lines() if line["request_id"] == "poisoned"]

    assert eventually(lambda: bool(logged()))
    assert "InferenceFailed" in logged()[0]["exception"]
    assert ask(client, as_file(pixels(20, 20, below=oracles.POISON)), model="poison").status_code == 200
