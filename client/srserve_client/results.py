"""Results: what the calls give back. All are frozen; what a newer service adds is in `raw` or `headers`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from srserve_client.answers import Answer, problem_of
from srserve_client.errors import ProblemError
from srserve_client.picture_file import PictureFile


@dataclass(frozen=True)
class Result(PictureFile):
    """A picture that the service made, and how.

    `scale` is the network's: of an answer of another size, the next larger one that it has. `timing` is seconds by
    stage (read, decode, queue, infer, encode). `etag` can be given as `if_none_match` when the
    same picture is asked for again.
    """

    model: str
    model_version: str
    scale: int
    device: str
    tiles: int
    timing: Mapping[str, float]
    request_id: str
    attempts: int
    etag: str | None
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, answer: Answer) -> "Result":
        """The result in an answer of 200."""
        headers = answer.headers
        return cls(
            content=answer.content,
            media_type=answer.media_type,
            model=headers.get("x-sr-model", ""),
            model_version=headers.get("x-sr-model-version", ""),
            scale=int(headers.get("x-sr-scale", "0")),
            device=headers.get("x-sr-device", ""),
            tiles=int(headers.get("x-sr-tiles", "0")),
            timing=timing_of(headers),
            request_id=headers.get("x-request-id", answer.request_id),
            attempts=answer.attempts,
            etag=headers.get("etag"),
            headers=headers,
        )

    @property
    def seed(self) -> int | None:
        """The seed of a degradation, with which it can be made again."""
        seed = self.headers.get("x-sr-seed")
        return None if seed is None else int(seed)


@dataclass(frozen=True)
class Graph:
    """One model at one scale. `psnr` is in dB on Y by benchmark set; `version` is that of `Result.model_version`."""

    scale: int
    version: str
    device: str
    psnr: Mapping[str, float]
    direction: str
    input: str
    frame_window: int
    sixteen_bit: bool
    ensemble: bool
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Graph":
        """The graph in an entry of a model's `graphs`."""
        return cls(
            scale=int(document["scale"]),
            version=str(document["version"]),
            device=str(document["device"]),
            psnr=dict(document["psnr"]),
            direction=str(document.get("direction", "up")),
            input=str(document["input"]),
            frame_window=int(document["frame_window"]),
            sixteen_bit=bool(document["sixteen_bit"]),
            ensemble=bool(document["ensemble"]),
            raw=document,
        )


@dataclass(frozen=True)
class Model:
    """A model that is served, with a graph for each of its scales.

    `kind` is what it works on: "rgb", "y" (luma), "frames", or "degradation"; `endpoint` the path that serves it.
    """

    name: str
    kind: str
    endpoint: str
    family: str
    paper: str
    licence: str
    scales: tuple[int, ...]
    graphs: tuple[Graph, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Model":
        """The model in an entry of /models."""
        return cls(
            name=str(document["name"]),
            kind=str(document["kind"]),
            endpoint=str(document["endpoint"]),
            family=str(document["family"]),
            paper=str(document["paper"]),
            licence=str(document["licence"]),
            scales=tuple(document["scales"]),
            graphs=tuple(Graph.of(entry) for entry in document["graphs"]),
            raw=document,
        )


@dataclass(frozen=True)
class Estimate:
    """What a picture would take, by the service's own figures; None where it is refused whatever there is room for.

    `width` and `height` are of the answer, `seconds` by stage (decode, queue, infer, encode, total) from when the file
    has come, `peak_bytes` the memory. `measured` says whether the network has been run there, so that this is no guess.
    """

    accepted: bool
    problem: ProblemError | None
    width: int | None
    height: int | None
    scale: int | None
    tiles: int | None
    peak_bytes: int | None
    seconds: Mapping[str, float] | None
    measured: bool | None
    deadline_s: float
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Estimate":
        """The estimate in an answer of /estimate."""
        problem = document.get("problem")
        return cls(
            accepted=bool(document["accepted"]),
            problem=None if problem is None else problem_of(problem),
            width=document.get("width"),
            height=document.get("height"),
            scale=document.get("scale"),
            tiles=document.get("tiles"),
            peak_bytes=document.get("peak_bytes"),
            seconds=document.get("predicted_s"),
            measured=document.get("measured"),
            deadline_s=float(document["deadline_s"]),
            raw=document,
        )


def timing_of(headers: Mapping[str, str]) -> dict[str, float]:
    """Seconds by stage, from Server-Timing (W3C), which has milliseconds."""
    timing = {}
    for metric in headers.get("server-timing", "").split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "dur":
                timing[name] = float(value.strip('"')) / 1000
    return timing
