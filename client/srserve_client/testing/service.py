"""FakeService: answers as the service would, pictures enlarged by nearest neighbour. Checked against the real one."""

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import httpx2

from srserve_client.errors import ConnectionFailed, ProblemError
from srserve_client.problems import MethodNotAllowed, NotFound, UnknownModel
from srserve_client.testing.documents import VERSION, estimate_document, model_document, problem_response
from srserve_client.testing.frames import clip_response
from srserve_client.testing.jobs import FakeJobs
from srserve_client.testing.parameters import FakeModel, Parameters
from srserve_client.testing.pictures import accepted, opened, resized, written

Route = Callable[..., httpx2.Response]

MODELS: Mapping[str, Iterable[int]] = {"edsr": (2, 3, 4)}
DEGRADATIONS: Mapping[str, Iterable[int]] = {"h2l": (4,)}


class FakeService:
    """One service with `models` and `degradations` (name to scales). Thread-safe.

    `requests` are those that came, in order; `jobs` those that were handed in. Take `transport` for a Client or an
    AsyncClient, or a FakeServer for what needs a port.
    """

    def __init__(
        self, models: Mapping[str, Iterable[int]] = MODELS, degradations: Mapping[str, Iterable[int]] = DEGRADATIONS
    ) -> None:
        self.models = {name: FakeModel(name, tuple(scales)) for name, scales in models.items()}
        self.models |= {name: FakeModel(name, tuple(scales), "down") for name, scales in degradations.items()}
        self.requests: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self.answer)
        self.jobs = FakeJobs(self._made)
        self._failures: deque[ProblemError | ConnectionFailed] = deque()
        self._lock = threading.Lock()
        self._routes: dict[str, dict[str, Route]] = {
            "/upscale": {"POST": self._picture},
            "/upscale/frames": {"POST": self._clip},
            "/estimate": {"POST": self._estimate},
            "/degrade": {"POST": self._picture},
            "/jobs": {"POST": self._create_job},
            "/jobs/([^/]+)": {"GET": self._get_job, "DELETE": self._cancel_job},
            "/jobs/([^/]+)/events": {"GET": self._follow_job},
            "/jobs/([^/]+)/result": {"GET": self._get_result},
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
        """What the service says; who follows a job hears of it as it is now, and comes back.

        Raises httpx2.ConnectError where a ConnectionFailed was asked for.
        """
        return self._answered(request, self._route)

    def stream(self, request: httpx2.Request) -> httpx2.Response:
        """The same for a server: clips are answered as they come, and who follows a job hears of it to its end."""
        follow = re.fullmatch("/jobs/([^/]+)/events", request.url.path)
        if follow and request.method == "GET":
            return self._answered(request, lambda _: self.jobs.events(follow[1], to_its_end=True))
        if request.url.path == "/upscale/frames" and request.method == "POST":
            return self._answered(request, lambda _: self._clip(request, whole=False))
        return self._answered(request, self._route)

    def _answered(self, request: httpx2.Request, route: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.Response:
        with self._lock:
            self.requests.append(request)
            failure = self._failures.popleft() if self._failures else None
        request_id = request.headers.get("x-request-id", "fake")
        try:
            if failure is not None:
                raise failure
            answer = route(request)
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
                allowed = [name for method in methods for name in ([method, "HEAD"] if method == "GET" else [method])]
                allowed.append("OPTIONS")
                raise MethodNotAllowed(f"{path} does not take {request.method}.", members={"allowed": allowed})
        raise NotFound(f"There is nothing at {path}; see /docs.")

    def _picture(self, request: httpx2.Request) -> httpx2.Response:
        path, accept = request.url.path, request.headers.get("accept")
        parameters = Parameters.of(path, request.url.params, self.models)
        chosen = parameters.format or accepted(accept)
        content = request.read()
        image = opened(content)
        scale, width, height = parameters.target(image.width, image.height)
        facts = repr((sorted(parameters.raw.items()), parameters.seed, chosen)).encode()
        etag = f'"{hashlib.sha256(facts + content).hexdigest()[:32]}"'
        kept = {"ETag": etag, "Cache-Control": "private, no-cache"}
        kept |= {} if parameters.format else {"Vary": "Accept"}
        if request.headers.get("if-none-match") == etag:
            return httpx2.Response(304, headers=kept)
        is_up = parameters.model.direction == "up"
        made = resized(image, scale, width, height, up=is_up)
        headers = {
            "Content-Type": f"image/{chosen}",
            "Server-Timing": "read;dur=0.1, decode;dur=0.2, queue;dur=0.3, infer;dur=0.4, encode;dur=0.5",
            "X-SR-Model": parameters.model.name,
            "X-SR-Model-Version": VERSION,
            "X-SR-Scale": str(scale),
            "X-SR-Size": f"{width}x{height}",
            "X-SR-Tiles": "1",
            "X-SR-Tiling": parameters.tiling,
            "X-SR-Device": "cpu",
            **kept,
        }
        if is_up and (width, height) != (image.width * scale, image.height * scale):
            headers["X-SR-Reduction"] = "box"
        if parameters.ensemble:
            headers["X-SR-Ensemble"] = "x8"
        if not is_up:
            headers["X-SR-Seed"] = str(parameters.seed)
        return httpx2.Response(200, content=written(made, chosen, quality=parameters.quality), headers=headers)

    def _clip(self, request: httpx2.Request, *, whole: bool = True) -> httpx2.Response:
        parameters = Parameters.of("/upscale/frames", request.url.params, self.models)
        request_id = request.headers.get("x-request-id", "fake")
        parts, headers = clip_response(request, parameters, self._made, request_id)
        return httpx2.Response(200, content=b"".join(parts) if whole else parts, headers=headers)

    def _estimate(self, request: httpx2.Request) -> httpx2.Response:
        parameters = Parameters.of("/estimate", request.url.params, self.models)
        content = request.read()
        if request.headers.get("content-type", "").startswith("application/json"):
            facts = json.loads(content)
            width, height = int(facts["width"]), int(facts["height"])
        else:
            width, height = opened(content).size
        return httpx2.Response(200, json=estimate_document(parameters, width, height))

    def _made(self, content: bytes, parameters: Parameters) -> tuple[bytes, str, int, int]:
        """A job's result: its content, media type, width and height."""
        image = opened(content)
        scale, width, height = parameters.target(image.width, image.height)
        chosen = parameters.format or "png"
        made = written(resized(image, scale, width, height, up=True), chosen, quality=parameters.quality)
        return made, f"image/{chosen}", width, height

    def _create_job(self, request: httpx2.Request) -> httpx2.Response:
        return self.jobs.create(request, Parameters.of("/jobs", request.url.params, self.models))

    def _get_job(self, request: httpx2.Request, job_id: str) -> httpx2.Response:
        return self.jobs.get(job_id)

    def _cancel_job(self, request: httpx2.Request, job_id: str) -> httpx2.Response:
        return self.jobs.cancel(job_id)

    def _follow_job(self, request: httpx2.Request, job_id: str) -> httpx2.Response:
        return self.jobs.events(job_id, to_its_end=False)

    def _get_result(self, request: httpx2.Request, job_id: str) -> httpx2.Response:
        return self.jobs.result(request, job_id)

    def _list_models(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=[model_document(model) for _, model in sorted(self.models.items())])

    def _get_model(self, request: httpx2.Request, name: str) -> httpx2.Response:
        if name not in self.models:
            raise UnknownModel(f"There is no model {name!r}.", members={"available": sorted(self.models)})
        return httpx2.Response(200, json=model_document(self.models[name]))
