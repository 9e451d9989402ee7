"""The OpenAPI document is whole: statuses, headers and codes that every operation shares, and the one that is kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.breaking import breaking_changes
from scripts.references import OPENAPI, openapi_text
from service.guard import is_open
from service.settings import Settings

Operation = dict[str, Any]


@pytest.fixture(scope="module")
def text(oracle_store: Path) -> str:
    return openapi_text(Settings(store=oracle_store, device="cpu"))


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[tuple[str, str, Operation]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def answers(operations: list[tuple[str, str, Operation]]) -> Iterator[tuple[str, str, Operation]]:
    for method, path, operation in operations:
        for status, answer in operation["responses"].items():
            yield f"{method} {path}", status, answer


def test_the_document_that_is_kept_is_the_one_that_is_served(text: str, document: dict[str, Any]) -> None:
    kept = OPENAPI.read_text()
    breaking = breaking_changes(json.loads(kept), document)
    assert kept == text, f"docs/openapi.json is out of date: run `make references`. Breaking: {breaking or 'nothing'}"


def test_every_answer_has_the_request_id(operations: list[tuple[str, str, Operation]]) -> None:
    assert [name for name, _, answer in answers(operations) if "X-Request-ID" not in answer["headers"]] == []


def test_every_refusal_is_a_problem_with_its_codes_as_examples(
    document: dict[str, Any], operations: list[tuple[str, str, Operation]]
) -> None:
    seen = set()
    for name, status, answer in answers(operations):
        if status.isdigit() and int(status) >= 400:
            codes = answer["content"]["application/problem+json"]["examples"]
            assert codes, f"{name} {status}"
            for code, reference in codes.items():
                example = document["components"]["examples"][code]["value"]
                assert reference["$ref"].endswith(f"/{code}")
                assert (example["status"], example["code"], example["type"]) == (int(status), code, f"/problems/{code}")
                seen.add(code)
    assert {"overloaded", "quota-exceeded", "draining", "not-ready", "unauthenticated", "body-too-large"} <= seen


def test_who_is_to_come_back_is_told_when(operations: list[tuple[str, str, Operation]]) -> None:
    for name, status, answer in answers(operations):
        if status in ("429", "503"):
            assert "Retry-After" in answer["headers"], f"{name} {status}"


def test_what_may_need_a_key_says_so_and_what_is_open_does_not(operations: list[tuple[str, str, Operation]]) -> None:
    for method, path, operation in operations:
        needs = not is_open(path.replace("{code}", "x"))
        assert ("security" in operation) is needs, path
        assert ("401" in operation["responses"]) is needs, path
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("403" in operation["responses"]) is (needs and "model" in names), f"{method} {path}"


def test_every_operation_has_a_name_of_its_own_and_a_summary(operations: list[tuple[str, str, Operation]]) -> None:
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["description"] for _, _, operation in operations)
