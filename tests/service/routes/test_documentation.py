"""OpenAPI describes what /upscale really takes and gives, and every problem's `type` leads somewhere."""

from typing import Any

import httpx2
import pytest

from service.errors import ServiceError
from tests.conftest import MODELS


@pytest.fixture
def operation(client: httpx2.Client) -> dict[str, Any]:
    document = client.get("/openapi.json").json()
    post: dict[str, Any] = document["paths"]["/upscale"]["post"]
    return post


def kinds(root: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [kind for child in root.__subclasses__() for kind in [child, *kinds(child)]]


def test_the_body_is_binary_raw_or_in_a_form(operation: dict[str, Any]) -> None:
    content = operation["requestBody"]["content"]
    assert operation["requestBody"]["required"] is True
    assert content["image/png"]["schema"] == {"type": "string", "format": "binary"}
    form = content["multipart/form-data"]["schema"]
    assert form["properties"] == {"file": {"type": "string", "format": "binary"}}
    assert form["required"] == ["file"]


def test_the_answer_is_binary_in_each_format(operation: dict[str, Any]) -> None:
    answer = operation["responses"]["200"]
    assert set(answer["content"]) == {"image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff"}
    assert answer["content"]["image/webp"]["schema"] == {"type": "string", "format": "binary"}
    assert "X-SR-Tiles" in answer["headers"]


def test_every_parameter_is_described_and_the_one_that_must_be_given_is_marked(operation: dict[str, Any]) -> None:
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    sizes, form = ["scale", "width", "height"], ["format", "quality", "compression", "tiling", "ensemble", "metadata"]
    assert list(parameters) == ["model", *sizes, *form, "if-none-match", "X-Request-Timeout-Ms"]
    assert [name for name, parameter in parameters.items() if parameter["required"]] == ["model"]
    assert all(parameter["description"] for parameter in parameters.values())


def test_every_refusal_is_described_as_a_problem(client: httpx2.Client, operation: dict[str, Any]) -> None:
    refusals = {status: answer for status, answer in operation["responses"].items() if status not in ("200", "304")}
    own = {"400", "404", "406", "408", "413", "415", "422", "429", "default"}
    assert set(refusals) >= own
    for answer in refusals.values():
        schema = answer["content"]["application/problem+json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "`too-many-pixels`" in refusals["422"]["description"]
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"type", "title", "status", "detail", "instance", "code"} <= set(schemas["Problem"]["properties"])


def test_no_framework_error_is_left_in_the_document(client: httpx2.Client) -> None:
    assert "HTTPValidationError" not in client.get("/openapi.json").text


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_problems_type_leads_to_its_kind(client: httpx2.Client, kind: type[ServiceError]) -> None:
    answer = client.get(f"/problems/{kind.code}")
    assert answer.json()["status"] == kind.status
    assert answer.json()["code"] == kind.code


def test_no_two_kinds_share_a_code() -> None:
    codes = [kind.code for kind in kinds() if kind.code != ServiceError.code]
    assert len(codes) == len(set(codes))


def test_an_unknown_code_is_told_the_known_ones(client: httpx2.Client) -> None:
    answer = client.get("/problems/bad-hair-day")
    assert answer.status_code == 404
    assert "unknown-model" in answer.json()["available"]


def test_the_interactive_page_is_there(client: httpx2.Client) -> None:
    assert "text/html" in client.get("/docs").headers["content-type"]


def test_the_root_says_where_to_go(client: httpx2.Client) -> None:
    root = client.get("/").json()
    assert root["models"] == MODELS
    assert root["limits"]["max_input_pixels"] == 32_000_000
    for path in set(root["links"].values()) - {"/upscale", "/degrade", "/estimate", "/jobs"}:
        assert client.get(path).status_code == 200
