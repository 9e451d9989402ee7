"""FakeService: answers as the service would, pictures enlarged by nearest neighbour. Checked against the real one."""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx2

from srserve_client.answers import PROBLEM_JSON
from srserve_client.errors import ConnectionFailed, ProblemError
from srserve_client.problems import MethodNotAllowed, NotFound, UnknownModel, UnsupportedMedia
from srserve_client.testing.pictures import READ_TYPES, check_parameters, enlarge

Route = Callable[..., httpx2.Response]

DEFAULT_MODELS: Mapping[str, Iterable[int]] = {"edsr": (2, 3, 4)}
VERSION = "0" * 12


class FakeService:
    """One service with `models` (name to scales). Thread-safe.

    `requests` are those that came, in order. Take `transport` for a Client or an AsyncClient, or a FakeServer for what
    needs a port.
    """

    def __init__(self, models: Mapping[str, Iterable[int]] = DEFAULT_MODELS) -> None:
        self.models = {name: tuple(scales) for name, scales in models.items()}
        self.requests: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self.answer)
        self._failures: deque[ProblemError | ConnectionFailed] = deque()
        self._lock = threading.Lock()
        self._routes: dict[str, dict[str, Route]] = {
            "/upscale": {"POST": self._upscale},
            "/models": {"GET": self._list_models},
            "/models/([^/]+)": {"GET": self._get_model},
        }

    def fail_next(self, *errors: ProblemError | ConnectionFailed) -> None:
        """Answer the next requests so, one each, in this order.

        A ProblemError of `srserve_client.problems` is answered as a problem document; for ConnectionFailed there is no
        answer: the connection breaks.
        """
        with self._lock:
            self._failures.extend(errors)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """What the service says. Raises httpx2.ConnectError where a ConnectionFailed was asked for."""
        with self._lock:
            self.requests.append(request)
            failure = self._failures.popleft() if self._failures else None
        request_id = request.headers.get("x-request-id", "fake")
        try:
            if failure is not None:
                raise failure
            answer = self._route(request)
        except ConnectionFailed as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        except ProblemError as error:
            answer = problem_response(error, request_id)
        answer.headers["X-Request-ID"] = request_id
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    def _route(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        for pattern, methods in self._routes.items():
            match = re.fullmatch(pattern, path)
            if match and request.method in methods:
                return methods[request.method](request, *match.groups())
            if match:
                allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
                raise MethodNotAllowed(f"{path} does not take {request.method}.", members={"allowed": allowed})
        raise NotFound(f"There is nothing at {path}; see /docs.")

    def _upscale(self, request: httpx2.Request) -> httpx2.Response:
        parameters = check_parameters(request.url.params, self.models)
        content, media_type = enlarge(request.read(), parameters, accept=request.headers.get("accept"))
        vary = {} if parameters.format else {"Vary": "Accept"}
        return httpx2.Response(
            200,
            content=content,
            headers={
                "Content-Type": media_type,
                "Server-Timing": "read;dur=0.1, decode;dur=0.2, queue;dur=0.3, infer;dur=0.4, encode;dur=0.5",
                "X-SR-Model": parameters.model,
                "X-SR-Model-Version": VERSION,
                "X-SR-Scale": str(parameters.scale),
                "X-SR-Tiles": "1",
                "X-SR-Tiling": parameters.tiling,
                "X-SR-Device": "cpu",
                **vary,
            },
        )

    def _list_models(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=[model_document(*item) for item in sorted(self.models.items())])

    def _get_model(self, request: httpx2.Request, name: str) -> httpx2.Response:
        if name not in self.models:
            raise UnknownModel(f"There is no model {name!r}.", members={"available": sorted(self.models)})
        return httpx2.Response(200, json=model_document(name, self.models[name]))


def problem_response(error: ProblemError, request_id: str) -> httpx2.Response:
    """The answer for `error`, as the service renders it."""
    pause = {} if error.retry_after_s is None else {"retry_after_s": error.retry_after_s}
    document = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request_id,
        "code": error.code,
        "retryable": bool(error.retryable),
        **pause,
        **error.members,
    }
    headers = {"Content-Type": PROBLEM_JSON}
    if isinstance(error, UnsupportedMedia):
        headers["Accept"] = ", ".join(READ_TYPES)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(round(error.retry_after_s))
    return httpx2.Response(error.status, content=json.dumps(document).encode(), headers=headers)


def model_document(name: str, scales: tuple[int, ...]) -> dict[str, Any]:
    """An entry of /models: a network that copies pixels."""
    graphs: list[dict[str, Any]] = [
        {
            "manifest_version": 1,
            "model": name,
            "family": "fake",
            "scale": scale,
            "input": "rgb",
            "frame_window": 1,
            "direction": "up",
            "noise": "none",
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
        }
        for scale in scales
    ]
    return {
        "name": name,
        "family": "fake",
        "paper": "",
        "licence": "Apache-2.0",
        "scales": list(scales),
        "graphs": graphs,
    }
