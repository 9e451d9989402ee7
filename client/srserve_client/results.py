"""Results: what the calls give back. All are frozen; what a newer service adds is in `raw` or `headers`."""

import io
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srserve_client.answers import Answer
from srserve_client.files import write_whole

if TYPE_CHECKING:
    import numpy
    from PIL import Image

_PNG_COLOURS = (2, 4, 6)  # colour types of PNG that Pillow holds with 8 bits: all but grey
_TIFF_BITS_PER_SAMPLE = 258


@dataclass(frozen=True)
class Result:
    """A picture that the service made, and how.

    `scale` is the network's: of an answer of another size, the next larger one that it has. `timing` is seconds by
    stage (read, decode, queue, infer, encode). `etag` can be given as `if_none_match` when the
    same picture is asked for again.
    """

    content: bytes = field(repr=False)
    media_type: str
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

    @property
    def suffix(self) -> str:
        """The ending of a file with this content, such as ".png"."""
        return "." + self.media_type.rpartition("/")[2].replace("jpeg", "jpg")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, whole or not at all, and return its path. Folders are made. Raises OSError."""
        return write_whole(Path(path), self.content)

    def image(self) -> "Image.Image":
        """The picture for Pillow, which holds colours in 8 bits a channel: of 16, it drops the lower 8. See `array`.

        Raises ImportError without Pillow (`srserve-client[pillow]`).
        """
        from PIL import Image

        image = Image.open(io.BytesIO(self.content))
        image.load()
        return image

    def array(self) -> "numpy.ndarray[Any, Any]":
        """The pixels [H,W] or [H,W,C], uint8 or uint16.

        Raises ImportError without numpy and Pillow (`srserve-client[numpy]`), and, for colours of 16 bits, without
        imagecodecs: Pillow would read 8 of them.
        """
        import numpy

        image = self.image()
        if _has_16_bit_colours(self.content, image):
            import imagecodecs

            pixels: numpy.ndarray[Any, Any] = imagecodecs.imread(self.content)
            return pixels
        return numpy.asarray(image)


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


def _has_16_bit_colours(content: bytes, image: "Image.Image") -> bool:
    """Whether Pillow has dropped bits: of PNG it does not say, so the header's depth and colour type are read."""
    if image.format == "PNG":
        depth, colours = struct.unpack(">BB", content[24:26])
        return depth == 16 and colours in _PNG_COLOURS
    depths = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE, ())
    return len(depths) > 1 and max(depths) > 8
