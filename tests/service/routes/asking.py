"""Requests for tests of the endpoints that take a picture, and what their refusals must look like."""

from typing import Any

import httpx2

from tests.service.pictures import as_file, pixels

SMALL = as_file(pixels(9, 7))


def ask(
    client: httpx2.Client,
    content: bytes = SMALL,
    *,
    model: str = "nearest",
    scale: object = 2,
    **query: Any,  # noqa: ANN401 - parameters, and `headers`
) -> httpx2.Response:
    """POST the picture to /upscale; a header is given as `headers={...}`, and scale=None is left out."""
    headers = query.pop("headers", {})
    parameters = {"model": model} | ({} if scale is None else {"scale": str(scale)}) | query
    return client.post("/upscale", params=parameters, content=content, headers=headers)


def ask_worse(
    client: httpx2.Client,
    content: bytes = SMALL,
    *,
    model: str = "degrading",
    **query: Any,  # noqa: ANN401 - parameters, and `headers`
) -> httpx2.Response:
    """POST the picture to /degrade; a header is given as `headers={...}`."""
    headers = query.pop("headers", {})
    return client.post("/degrade", params={"model": model} | query, content=content, headers=headers)


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The members of the problem that `answer` must be."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    assert document["status"] == status
    assert document["type"] == f"/problems/{code}"
    assert document["instance"] == answer.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return document
