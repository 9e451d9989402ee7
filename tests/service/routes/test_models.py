"""GET /models tells what is served, as the manifests say it."""

import httpx2

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
