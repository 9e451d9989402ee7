"""The fake's JSON: problems as the service renders them, models, jobs."""

import json
from typing import Any

import httpx2

from srserve_client.answers import PROBLEM_JSON
from srserve_client.errors import ProblemError
from srserve_client.problems import UnsupportedMedia
from srserve_client.testing.parameters import ENDPOINTS, FakeModel, Parameters
from srserve_client.testing.pictures import READ_TYPES

VERSION = "0" * 12


def problem_document(error: ProblemError, instance: str) -> dict[str, Any]:
    """The members of RFC 9457, then ours."""
    pause = {} if error.retry_after_s is None else {"retry_after_s": error.retry_after_s}
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "retryable": bool(error.retryable),
        **pause,
        **error.members,
    }


def problem_response(error: ProblemError, request_id: str) -> httpx2.Response:
    """The answer for `error`."""
    headers = {"Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"}
    if isinstance(error, UnsupportedMedia):
        supported = error.members.get("supported")
        headers["Accept"] = ", ".join(supported if isinstance(supported, list) else READ_TYPES)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(round(error.retry_after_s))
    content = json.dumps(problem_document(error, request_id)).encode()
    return httpx2.Response(error.status, content=content, headers=headers)


def estimate_document(parameters: Parameters, width: int, height: int) -> dict[str, Any]:
    """The answer of /estimate: everything is accepted, and takes a tenth of a second."""
    try:
        scale, answer_width, answer_height = parameters.target(width, height)
    except ProblemError as error:
        return {"accepted": False, "problem": problem_document(error, "fake"), "deadline_s": 60.0}
    seconds = {"decode": 0.01, "queue": 0.0, "infer": 0.08, "encode": 0.01, "total": 0.1}
    return {
        "accepted": True,
        "width": answer_width,
        "height": answer_height,
        "scale": scale,
        "tiles": 1,
        "pixels": width * height,
        "peak_bytes": 4 * (width * height + answer_width * answer_height),
        "predicted_s": seconds,
        "measured": True,
        "deadline_s": 60.0,
    }


def model_document(model: FakeModel) -> dict[str, Any]:
    """An entry of /models."""
    is_up = model.direction == "up"
    return {
        "name": model.name,
        "family": "fake",
        "kind": "rgb" if is_up else "degradation",
        "endpoint": ENDPOINTS[model.direction],
        "paper": "",
        "licence": "Apache-2.0",
        "scales": list(model.scales),
        "graphs": [_graph_document(model, scale, is_up=is_up) for scale in model.scales],
    }


def _graph_document(model: FakeModel, scale: int, *, is_up: bool) -> dict[str, Any]:
    return {
        "manifest_version": 1,
        "model": model.name,
        "family": "fake",
        "scale": scale,
        "input": "rgb",
        "frame_window": 1,
        "direction": model.direction,
        "noise": "none" if is_up else "map",
        "fixed_size": None,
        "pixels": "uint8",
        "halo": 0,
        "halo_exact": 0,
        "size_multiple": 1,
        "weights": None,
        "weights_sha256": None,
        "precision": "fp32",
        "parameters": 0,
        "macs_per_lr_pixel": 0,
        "psnr": {},
        "paper": "",
        "licence": "Apache-2.0",
        "sources": [],
        "exporter": {},
        "version": VERSION,
        "device": "cpu",
        "sixteen_bit": True,
        "ensemble": is_up,
    }
