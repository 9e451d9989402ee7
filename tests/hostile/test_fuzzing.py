"""Requests made from the OpenAPI document, right ones and wrong: none ends in a fault, all as documented."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scripts.references import OPENAPI
from tests.conftest import LiveServer

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 30
ENDLESS = {"/jobs/{job_id}/events"}  # a stream; tests/service/routes has it

DOCUMENT = json.loads(OPENAPI.read_text())  # the one that is served, as tests/service/test_contract.py sees to
OPERATIONS = [
    (method, path) for path, methods in DOCUMENT["paths"].items() for method in methods if path not in ENDLESS
]


def modes(method: str, path: str) -> list[GenerationMode]:
    """Wrong values are made where some are wrong: any text is a name, and where nothing is taken nothing is wrong."""
    parameters = DOCUMENT["paths"][path][method].get("parameters", [])
    takes_more = any(parameter["in"] == "query" for parameter in parameters)
    return list(GenerationMode) if takes_more else [GenerationMode.POSITIVE]


CASES = [
    pytest.param(method, path, mode, id=f"{method}-{path}-{mode.value}")
    for method, path in OPERATIONS
    for mode in modes(method, path)
]


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_whatever_is_asked_is_answered_as_documented(
    live_server: LiveServer, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:  # noqa: ANN401 - schemathesis's own, one class a kind of schema
        case.call_and_validate(base_url=live_server.url, checks=CHECKS, timeout=60)

    ask()
