"""Calls: what is asked of the service, as data. The clients send them; nothing is sent here."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Required, TypedDict
from urllib.parse import quote

import httpx2

from srserve_client.bodies import Body
from srserve_client.retries import RetryPolicy

ESTIMATE_BYTES = 2**20  # of a file's beginning: any picture's header, with profile and preview
DEFAULT_URL = "http://127.0.0.1:8000"

Format = Literal["png", "jpeg", "webp", "avif", "tiff"]
Tiling = Literal["fast", "exact"]
Metadata = Literal["keep", "strip"]
Compression = Literal["fast", "small"]
SceneDetection = Literal["on", "off"]
Codec = Literal["h264", "h265", "av1", "ffv1"]
Container = Literal["mp4", "mov", "mkv", "webm"]


class ClientOptions(TypedDict, total=False):
    """What one client over another's connections may do otherwise; as the parameters of `AsyncClient`."""

    timeout: float | None
    retries: RetryPolicy | int
    headers: Mapping[str, str]


class UpscaleOptions(TypedDict, total=False):
    """The parameters of /upscale; what is not given is the service's choice. `AsyncClient.upscale` explains them."""

    model: Required[str]
    scale: float | None
    width: int | None
    height: int | None
    format: Format | None
    quality: int | None
    compression: Compression | None
    tiling: Tiling | None
    ensemble: bool | None
    metadata: Metadata | None


class FramesOptions(TypedDict, total=False):
    """The parameters of /upscale/frames; as of /upscale, where they have the same names."""

    model: Required[str]
    scale: Required[int]
    format: Format | None
    quality: int | None
    tiling: Tiling | None
    metadata: Metadata | None
    scene_detection: SceneDetection | None


class JobOptions(TypedDict, total=False):
    """The parameters of /jobs; as of /upscale and /upscale/frames, where they have the same names.

    `format`, `quality` and `metadata` are of pictures. Of videos are `codec` (h264 by default; ffv1 is lossless),
    `crf`, its constant rate factor (lower is better), `container` (the source's, where it can hold the codec), and
    `scene_detection`.
    """

    model: Required[str]
    scale: float | None
    width: int | None
    height: int | None
    tiling: Tiling | None
    ensemble: bool | None
    format: Format | None
    quality: int | None
    metadata: Metadata | None
    codec: Codec | None
    crf: int | None
    container: Container | None
    scene_detection: SceneDetection | None


@dataclass(frozen=True)
class Call:
    """One request to come. `path` begins with a slash and is taken relative to the base URL, prefix included."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


def upscale_call(content: bytes, options: UpscaleOptions, *, if_none_match: str | None = None) -> Call:
    """POST /upscale."""
    headers = {} if if_none_match is None else {"If-None-Match": if_none_match}
    return Call("POST", "/upscale", params=_texts(options), headers=headers, body=Body.of_bytes(content))


def estimate_call(picture: bytes | tuple[int, int], options: Mapping[str, object]) -> Call:
    """POST /estimate: the beginning of a file, or a picture's (width, height)."""
    if isinstance(picture, bytes):
        body = Body.of_bytes(picture[:ESTIMATE_BYTES])
    else:
        facts = json.dumps({"width": picture[0], "height": picture[1]}).encode()
        body = Body.of_bytes(facts, "application/json")
    return Call("POST", "/estimate", params=_texts(options), body=body)


def degrade_call(content: bytes, options: Mapping[str, object]) -> Call:
    """POST /degrade."""
    return Call("POST", "/degrade", params=_texts(options), body=Body.of_bytes(content))


def create_job_call(body: Body, options: JobOptions, *, key: str) -> Call:
    """POST /jobs, which a service that has seen `key` answers with the job of that time."""
    return Call("POST", "/jobs", params=_texts(options), headers={"Idempotency-Key": key}, body=body)


def job_call(job_id: str) -> Call:
    """GET /jobs/{id}."""
    return Call("GET", f"/jobs/{quote(job_id, safe='')}")


def cancel_call(job_id: str) -> Call:
    """DELETE /jobs/{id}."""
    return Call("DELETE", f"/jobs/{quote(job_id, safe='')}")


def events_call(job_id: str, *, last_event_id: str | None) -> Call:
    """GET /jobs/{id}/events, from after an event that was seen."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    return Call("GET", f"/jobs/{quote(job_id, safe='')}/events", headers=headers)


def result_call(job_id: str, *, offset: int, etag: str) -> Call:
    """GET /jobs/{id}/result, from byte `offset` on if the file is still that of `etag`, else from its beginning."""
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": etag}
    return Call("GET", f"/jobs/{quote(job_id, safe='')}/result", headers=headers)


def frames_params(options: FramesOptions) -> dict[str, str]:
    """The query of POST /upscale/frames."""
    return _texts(options)


def models_call() -> Call:
    """GET /models."""
    return Call("GET", "/models")


def model_call(name: str) -> Call:
    """GET /models/{name}."""
    return Call("GET", f"/models/{quote(name, safe='')}")


def base_url_of(given: str | None) -> httpx2.URL:
    """The service's address: as given, or SR_BASE_URL, or the port 8000 of this machine.

    Raises ValueError for what is no http or https URL.
    """
    text = given or os.environ.get("SR_BASE_URL") or DEFAULT_URL
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ValueError(f"the base URL {text!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"the base URL {text!r} is no http or https URL, such as {DEFAULT_URL}")
    return url


def authorization(api_key: str | None) -> dict[str, str]:
    """The header for a key: the one given, or SR_API_KEY; none where there is none."""
    key = api_key or os.environ.get("SR_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _texts(parameters: Mapping[str, object]) -> dict[str, str]:
    """Query parameters as text; None is left out."""
    texts = {}
    for name, value in parameters.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif isinstance(value, float):
            texts[name] = f"{value:.12g}"
        elif value is not None:
            texts[name] = str(value)
    return texts
