"""What breaks clients is found in two OpenAPI documents, and what does not is not."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from scripts.breaking import breaking_changes
from scripts.references import OPENAPI

Document = dict[str, Any]


@pytest.fixture(scope="module")
def kept() -> Document:
    found: Document = json.loads(OPENAPI.read_text())
    return found


def post(document: Document) -> Document:
    operation: Document = document["paths"]["/upscale"]["post"]
    return operation


def parameter(document: Document, name: str) -> Document:
    found: Document = next(one for one in post(document)["parameters"] if one["name"] == name)
    return found


def form(document: Document) -> Document:
    found: Document = post(document)["requestBody"]["content"]["multipart/form-data"]["schema"]
    return found


def test_a_document_does_not_break_itself(kept: Document) -> None:
    assert breaking_changes(kept, copy.deepcopy(kept)) == []


BREAKING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a path": (lambda new: new["paths"].pop("/models"), "GET /models is gone"),
    "a method": (lambda new: new["paths"]["/jobs/{job_id}"].pop("delete"), "DELETE /jobs/{job_id} is gone"),
    "a parameter": (lambda new: post(new)["parameters"].pop(), "is gone"),
    "a new duty": (
        lambda new: post(new)["parameters"].append({"name": "pin", "in": "query", "required": True, "schema": {}}),
        "the parameter pin has become required",
    ),
    "a value": (lambda new: parameter(new, "tiling")["schema"]["enum"].remove("exact"), "no longer takes exact"),
    "a type": (lambda new: parameter(new, "scale").update(schema={"type": "string"}), "its type was"),
    "a bound of a value that may be left out": (
        lambda new: parameter(new, "width")["schema"]["anyOf"][0].update(minimum=16),
        "the parameter width: its minimum was 1 and is 16",
    ),
    "a shorter text": (lambda new: parameter(new, "model")["schema"].update(maxLength=8), "its maxLength was 64"),
    "a pattern": (lambda new: parameter(new, "model")["schema"].update(pattern="^edsr$"), "its pattern has become"),
    "a kind of value": (lambda new: parameter(new, "scale")["schema"]["anyOf"].pop(0), "its type was null or number"),
    "a place": (lambda new: parameter(new, "width").update({"in": "header"}), "the query parameter width is gone"),
    "a default": (lambda new: parameter(new, "tiling")["schema"].update(default="exact"), "its default was 'fast'"),
    "a body": (lambda new: post(new)["requestBody"]["content"].pop("image/tiff"), "bodies of image/tiff"),
    "a form's field": (
        lambda new: form(new)["properties"].update(picture=form(new)["properties"].pop("file")),
        "the member file is no longer taken",
    ),
    "a form's new duty": (lambda new: form(new)["required"].append("title"), "the member title has become required"),
    "openness": (lambda new: post(new).update(security=[{"key": []}]), "it has come to need a key"),
    "what an answer is": (
        lambda new: new["paths"]["/models"]["get"]["responses"]["200"]["content"]["application/json"].update(
            schema={"type": "object"}
        ),
        "its type was array and is object",
    ),
    "what a list is of": (
        lambda new: new["paths"]["/models"]["get"]["responses"]["200"]["content"]["application/json"]["schema"].update(
            items={"$ref": "#/components/schemas/Health"}
        ),
        "each: its type was ModelFacts and is Health",
    ),
    "that something is always there": (
        lambda new: new["components"]["schemas"]["JobProgress"]["properties"].update(
            done={"anyOf": [{"type": "integer"}, {"type": "null"}]}
        ),
        "the member done: its type was integer and is integer or null",
    ),
    "an answer": (lambda new: post(new)["responses"]["200"]["content"].pop("image/webp"), "no answer of image/webp"),
    "a status": (lambda new: post(new)["responses"].pop("413"), "the status 413 is gone"),
    "a code": (
        lambda new: post(new)["responses"]["422"]["content"]["application/problem+json"]["examples"].pop(
            "bad-parameter"
        ),
        "no problem bad-parameter",
    ),
    "a header": (lambda new: post(new)["responses"]["200"]["headers"].pop("X-SR-Model"), "no header X-SR-Model"),
    "a schema": (lambda new: new["components"]["schemas"].pop("ModelFacts"), "schema ModelFacts: is gone"),
    "a member": (
        lambda new: new["components"]["schemas"]["Problem"]["properties"].pop("code"),
        "the member code is gone",
    ),
    "a member's duty": (
        lambda new: new["components"]["schemas"]["Problem"]["required"].remove("code"),
        "the member code may be missing",
    ),
    "a member's type": (
        lambda new: new["components"]["schemas"]["Problem"]["properties"]["status"].update(type="string"),
        "the member status: its type was integer and is string",
    ),
}


@pytest.mark.parametrize("what", BREAKING)
def test_what_clients_would_miss_is_named(kept: Document, what: str) -> None:
    change, said = BREAKING[what]
    new = copy.deepcopy(kept)
    change(new)
    found = breaking_changes(kept, new)
    assert len(found) == 1
    assert said in found[0]


def test_what_is_added_breaks_nobody(kept: Document) -> None:
    new = copy.deepcopy(kept)
    new["paths"]["/new"] = {"get": {"responses": {}}}
    post(new)["parameters"].append({"name": "sharpen", "in": "query", "required": False, "schema": {"type": "number"}})
    post(new)["responses"]["418"] = {"description": "teapot"}
    parameter(new, "tiling")["schema"]["enum"].append("wrap")
    parameter(new, "width")["schema"]["anyOf"][0].update(type="number", minimum=0)
    parameter(new, "model")["schema"].pop("maxLength")
    new["components"]["schemas"]["Problem"]["properties"]["hint"] = {"type": "string"}
    assert breaking_changes(kept, new) == []
