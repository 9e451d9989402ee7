"""GET /models tells what is served, as the manifests say it."""

import httpx2
import pytest

from tests import oracle_kinds
from tests.conftest import MODELS
from tests.service.pictures import as_file, pixels


def test_all_models_are_listed_by_name(client: httpx2.Client) -> None:
    models = client.get("/models").json()
    assert [model["name"] for model in models] == MODELS
    scales = {model["name"]: model["scales"] for model in models}
    assert (scales["blur"], scales["nearest"], scales["degrading"]) == ([2], [2, 3, 4], [3])


def test_a_model_tells_the_facts_of_each_graph(client: httpx2.Client) -> None:
    model = client.get("/models/blur").json()
    (graph,) = model["graphs"]
    assert (model["name"], model["family"], model["licence"]) == ("blur", "oracle", "Apache-2.0")
    assert (graph["scale"], graph["halo"], graph["halo_exact"], graph["precision"]) == (2, 5, 5, "fp32")
    assert (graph["device"], graph["sixteen_bit"]) == ("cpu", False)


@pytest.mark.parametrize(
    ("name", "kind", "endpoint", "ensemble", "sixteen_bit"),
    [
        ("nearest", "rgb", "/upscale", True, True),
        ("blur", "rgb", "/upscale", False, False),
        ("clip", "frames", "/upscale", False, True),
        ("fixed", "rgb", "/upscale", False, False),
        ("degrading", "degradation", "/degrade", False, True),
    ],
)
def test_a_model_tells_what_it_can(
    client: httpx2.Client, name: str, kind: str, endpoint: str, ensemble: bool, sixteen_bit: bool
) -> None:
    model = client.get(f"/models/{name}").json()
    assert (model["kind"], model["endpoint"]) == (kind, endpoint)
    for graph in model["graphs"]:
        assert (graph["ensemble"], graph["sixteen_bit"]) == (ensemble, sixteen_bit)


def test_every_fact_of_a_graph_is_told(client: httpx2.Client) -> None:
    (graph,) = client.get("/models/degrading").json()["graphs"]
    told = {"scale": 3, "direction": "down", "noise": "map", "size_multiple": 2, "fixed_size": None, "frame_window": 1}
    told |= {"halo": 1, "halo_exact": 1, "parameters": 0, "macs_per_lr_pixel": 0, "psnr": {}, "precision": "fp32"}
    assert told.items() <= graph.items()
    assert {"paper", "licence", "sources", "weights", "weights_sha256", "exporter"} <= set(graph)
    (fixed,) = client.get("/models/fixed").json()["graphs"]
    assert fixed["fixed_size"] == list(oracle_kinds.FIXED_SIZE)


def test_the_version_is_the_one_in_the_answers(client: httpx2.Client) -> None:
    graphs = client.get("/models/nearest").json()["graphs"]
    answer = client.post("/upscale?model=nearest&scale=3", content=as_file(pixels(4, 4)))
    assert answer.headers["x-sr-model-version"] == graphs[1]["version"]
    assert graphs[1]["sixteen_bit"] is True


def test_an_unknown_model_is_told_the_models(client: httpx2.Client) -> None:
    answer = client.get("/models/esrgan")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown-model"
    assert answer.json()["available"] == MODELS
