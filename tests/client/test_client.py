"""Both clients against the running service: what they give back, and what they raise."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srserve_client import Model, NotModified, ProblemError
from srserve_client.problems import AnimatedImage, BadParameter, BodyTooLarge, UnknownModel, UnsupportedScale
from tests import oracles
from tests.client.conftest import Connect
from tests.conftest import MODELS, Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, pixels

LR = pixels(9, 7)


def test_a_picture_comes_back_larger_with_how_it_was_made(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        result = client.upscale(as_file(LR), model="nearest", scale=3)
    assert np.array_equal(result.array(), oracles.nearest(LR, 3))
    assert (result.model, result.scale, result.device, result.tiles) == ("nearest", 3, "cpu", 1)
    assert (result.media_type, result.suffix, result.attempts) == ("image/png", ".png", 1)
    assert len(result.model_version) == 12
    assert set(result.timing) == {"read", "decode", "queue", "infer", "encode"}
    assert all(0 <= seconds < 60 for seconds in result.timing.values())
    assert eventually(lambda: any(line["request_id"] == result.request_id for line in live_server.lines()))


def test_parameters_reach_the_service(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        result = client.upscale(
            as_file(LR), model="nearest", scale=2, format="jpeg", quality=100, tiling="exact", metadata="strip"
        )
    assert (result.media_type, result.suffix) == ("image/jpeg", ".jpg")
    assert result.headers["x-sr-tiling"] == "exact"
    assert result.image().size == (14, 18)


@pytest.mark.parametrize("wish", [{"scale": 2.5}, {"width": 18}, {"height": 23}, {"width": 18, "height": 23}], ids=str)
def test_any_size_up_to_the_models_largest_can_be_asked_for(
    connect: Connect, live_server: LiveServer, wish: dict[str, float]
) -> None:
    with connect(live_server.url) as client:
        result = client.upscale(as_file(LR), model="nearest", **wish)
    assert result.image().size == (18, 23)
    assert result.scale == 3


def test_an_ensemble_can_be_asked_for(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        assert client.upscale(as_file(LR), model="nearest", scale=2, ensemble=True).headers["x-sr-ensemble"] == "x8"
        assert "x-sr-ensemble" not in client.upscale(as_file(LR), model="nearest", scale=2, ensemble=False).headers


def test_an_answer_that_the_caller_has_is_not_made_again(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        etag = client.upscale(as_file(LR), model="nearest", scale=2).etag
        with pytest.raises(NotModified) as raised:
            client.upscale(as_file(LR), model="nearest", scale=2, if_none_match=etag)
    assert raised.value.etag == etag
    assert raised.value.request_id


def test_a_degradation_comes_again_with_its_seed(connect: Connect, live_server: LiveServer) -> None:
    hr = as_file(pixels(18, 15))
    with connect(live_server.url) as client:
        first = client.degrade(hr, model="degrading")
        again = client.degrade(hr, model="degrading", scale=3, seed=first.seed)
        other = client.degrade(hr, model="degrading", seed=(first.seed or 0) + 1)
    assert first.image().size == (5, 6)
    assert first.content == again.content != other.content
    assert (first.model, first.scale) == ("degrading", 3)


def test_a_result_is_saved_whole_in_a_folder_that_is_made(
    connect: Connect, live_server: LiveServer, tmp_path: Path
) -> None:
    with connect(live_server.url) as client:
        path = client.upscale(as_file(LR), model="nearest", scale=2).save(tmp_path / "a" / "b.png")
    assert np.array_equal(as_pixels(path.read_bytes()), oracles.nearest(LR, 2))
    assert [file.name for file in path.parent.iterdir()] == ["b.png"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_array_of_any_kind_keeps_every_bit(
    connect: Connect, live_server: LiveServer, dtype: type[np.generic], channels: int
) -> None:
    top = np.iinfo(dtype).max  # type: ignore[type-var]  # both are integers
    lr = np.random.default_rng(1).integers(0, top, (8, 5, channels), dtype=dtype, endpoint=True)
    if channels in (2, 4):
        lr[..., -1] |= 1  # nothing is wholly transparent, so no colour is hidden
    with connect(live_server.url) as client:
        array = client.upscale(lr, model="nearest", scale=2).array()
    assert array.dtype == dtype
    assert np.array_equal(array.reshape(16, 10, channels), oracles.nearest(lr, 2))


def test_models_are_listed_with_their_facts(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        models = client.models()
        one = client.model("nearest")
    assert [model.name for model in models] == MODELS
    assert isinstance(one, Model)
    assert (one.scales, one.licence, one.family) == ((2, 3, 4), "Apache-2.0", "oracle")
    assert (one.kind, one.endpoint) == ("rgb", "/upscale")
    assert [(graph.scale, graph.device, graph.direction, graph.sixteen_bit) for graph in one.graphs] == [
        (scale, "cpu", "up", True) for scale in (2, 3, 4)
    ]
    assert all(graph.ensemble for graph in one.graphs)


def test_a_batch_gives_a_result_or_an_error_for_every_picture(connect: Connect, live_server: LiveServer) -> None:
    pictures = [as_file(pixels(8, 8, seed=seed)) for seed in range(6)]
    pictures[2] = b"no picture"
    with connect(live_server.url) as client:
        items = sorted(client.upscale_batch(pictures, model="nearest", scale=2), key=lambda item: item.index)
    assert [item.index for item in items] == list(range(6))
    for item in items:
        assert item.picture == pictures[item.index]
        if item.index == 2:
            assert item.error.code == "unsupported-media"
            with pytest.raises(ProblemError, match="unsupported-media"):
                item.unwrap()
        else:
            assert np.array_equal(item.unwrap().array(), oracles.nearest(pixels(8, 8, seed=item.index), 2))


def test_a_batch_reads_no_further_ahead_than_it_works(connect: Connect, live_server: LiveServer) -> None:
    taken = 0

    def pictures() -> object:
        nonlocal taken
        for seed in range(50):
            taken += 1
            yield as_file(pixels(4, 4, seed=seed))

    with connect(live_server.url) as client:
        items = client.upscale_batch(pictures(), concurrency=3, model="nearest", scale=2)
        for done in range(1, 11):
            next(items)
            assert taken <= done + 3
        items.close()


# --- what is raised


def test_what_the_service_refuses_is_raised_as_the_class_of_its_code(connect: Connect, live_server: LiveServer) -> None:
    with connect(live_server.url) as client:
        with pytest.raises(UnsupportedScale) as scale:
            client.upscale(as_file(LR), model="nearest", scale=5)
        with pytest.raises(UnknownModel) as model:
            client.model("no such model?")
        with pytest.raises(BadParameter, match="quality"):
            client.upscale(as_file(LR), model="nearest", scale=2, quality=101)
        with pytest.raises(AnimatedImage):
            client.upscale(_animation(), model="nearest", scale=2)
    error = scale.value
    assert (error.code, error.status, error.retryable, error.attempts) == ("unsupported-scale", 422, False, 1)
    assert error.members["supported"] == [2, 3, 4]
    assert str(error.request_id) in str(error)
    assert eventually(lambda: any(line["request_id"] == error.request_id for line in live_server.lines()))
    assert model.value.members["available"] == MODELS


def test_an_exceeded_limit_is_told_with_limit_and_value(connect: Connect, launch: Launch) -> None:
    server = launch(max_body_bytes=1000)
    with connect(server.url) as client, pytest.raises(BodyTooLarge) as raised:
        client.upscale(bytes(1001), model="nearest", scale=2)
    assert (raised.value.limit, raised.value.actual, raised.value.status) == (1000, 1001, 413)


def _animation() -> bytes:
    file = io.BytesIO()
    frames = [Image.fromarray(pixels(8, 8, seed=seed)) for seed in range(2)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    return file.getvalue()
