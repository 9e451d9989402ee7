"""Contract: the whole OpenAPI document. What routes say of themselves, and what holds for every one of them.

Every answer has X-Request-ID; whatever goes wrong is a problem, whose codes stand in the document as examples; what is
not open to everybody may need a key. docs/openapi.json is this document, so that a change of it is seen.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.errors import ServiceError
from service.guard import is_open
from service.problems import PROBLEM_JSON, problem_document
from service.routes.documentation import Problem, problem_classes, problems

EVERYWHERE = (400, 405, 500, 503)  # no HTTP, no such method, our fault, going away
WITH_A_KEY = (401, 429)  # no key; too many requests of one
RETRIED = (429, 503, 507)  # always with Retry-After
METHODS = ("get", "post", "put", "patch", "delete")

REQUEST_ID = {"description": "The request's id: the one that it came with, or a new one", "schema": {"type": "string"}}
RETRY_AFTER = {"description": "Seconds after which it may succeed", "schema": {"type": "integer", "minimum": 1}}
CHALLENGE = {"description": "Bearer", "schema": {"type": "string"}}
ALLOW = {"description": "The methods that the path takes", "schema": {"type": "string"}}
KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key, srk_..., where the operator asks for one (SR_KEYS); else nothing is needed",
}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The application's OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        components = document.setdefault("components", {})
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {})["Problem"] = schema
        components["securitySchemes"] = {"key": KEY_SCHEME}
        components["examples"] = {kind.code: {"value": _example(kind)} for kind in problem_classes()}
        for path, operations in document["paths"].items():
            for method in METHODS:
                if method in operations:
                    _complete(operations[method], path=path)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any], *, path: str) -> None:
    responses: dict[str, Any] = operation["responses"]
    statuses = set(EVERYWHERE)
    if not is_open(path.partition("{")[0].rstrip("/") or "/"):
        operation["security"] = [{}, {"key": []}]
        statuses |= set(WITH_A_KEY)
        if any(parameter["name"] == "model" for parameter in operation.get("parameters", [])):
            statuses.add(403)
    for status, answer in problems(*sorted(statuses)).items():
        responses.setdefault(str(status), answer)
    for status, answer in responses.items():
        _complete_answer(answer, status)
    operation["responses"] = dict(sorted(responses.items()))


def _complete_answer(answer: dict[str, Any], status: str) -> None:
    headers = answer.setdefault("headers", {})
    headers["X-Request-ID"] = REQUEST_ID
    content = answer.get("content", {}).get(PROBLEM_JSON)
    if content is None or not status.isdigit():
        return
    if int(status) in RETRIED:
        headers["Retry-After"] = RETRY_AFTER
    if status == "401":
        headers["WWW-Authenticate"] = CHALLENGE
    if status == "405":
        headers["Allow"] = ALLOW
    codes = [kind.code for kind in problem_classes() if kind.status == int(status)]
    content["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}


def _example(kind: type[ServiceError]) -> dict[str, object]:
    """A problem of that kind, as it would be rendered."""
    error = kind(f"{kind.title}.", retry_after_s=5.0 if kind.status in RETRIED else None)
    return problem_document(error, request_id="b3f1c0ffee")
