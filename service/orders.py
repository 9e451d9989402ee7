"""Orders: what the caller asks for, and what is to be done with their picture once its header is known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from service.admission import predicted_peak_bytes
from service.codecs import DEFAULT_QUALITY, EncodeOptions, ImageHeader, ImageLimits, check_header, choose_format
from service.errors import OutputTooLarge, WrongEndpoint, WrongSize
from service.etag import strong_etag
from service.manifest import Manifest
from service.registry import ServedGraph, ServedModel
from service.sizes import SizeWish, Target

ENDPOINTS = {"up": "/upscale", "down": "/degrade"}


@dataclass(frozen=True)
class UpscaleParams:
    """What the caller asks for. `accept` is the Accept header, which chooses the format where `format` is None.

    `scale`, `width` and `height` as in SizeWish. Of a degradation `scale` is one of its scales, or None where it has
    only one, and `seed` its noise's.
    """

    model: str
    scale: float | None = None
    width: int | None = None
    height: int | None = None
    direction: Literal["up", "down"] = "up"
    ensemble: bool = False
    seed: int = 0
    format: str | None = None
    accept: str | None = None
    quality: int | None = None
    compression: Literal["fast", "small"] = "fast"
    tiling: Literal["fast", "exact"] = "fast"
    metadata: Literal["keep", "strip"] = "keep"
    if_none_match: Sequence[str] = ()

    @property
    def size(self) -> SizeWish:
        """How large the answer is to be."""
        return SizeWish(self.scale, self.width, self.height)

    def options(self) -> EncodeOptions:
        """How the answer is to be written. Raises BadParameter, NotAcceptable."""
        chosen = choose_format(self.format, self.accept)
        return EncodeOptions(chosen, self.quality, self.metadata, self.compression)

    def check(self, model: ServedModel) -> None:
        """What can be refused before the body is read. Raises WrongEndpoint, UnsupportedScale, BadParameter."""
        if model.direction != self.direction:
            what = "makes LR pictures of HR ones" if model.direction == "down" else "makes pictures larger"
            endpoint = ENDPOINTS[model.direction]
            raise WrongEndpoint(
                f"The model {model.name} {what}: POST {endpoint}?model={model.name}.", members={"endpoint": endpoint}
            )
        self.size.check(model.name, model.scales)
        if self.direction == "down":  # which has no scales between its own
            model.graph(int(self.scale or model.scales[0]))


@dataclass(frozen=True)
class UpscaleLimits:
    """What is refused before a pixel is decoded, and the longest side of a tile; all in pixels."""

    image: ImageLimits
    max_output_pixels: int
    max_tile: int


@dataclass(frozen=True)
class Order:
    """One picture's way: the graph that runs, and the size and form of what is made of its answer."""

    header: ImageHeader
    graph: ServedGraph
    target: Target
    options: EncodeOptions
    params: UpscaleParams

    @classmethod
    def of(
        cls,
        header: ImageHeader,
        model: ServedModel,
        options: EncodeOptions,
        params: UpscaleParams,
        limits: UpscaleLimits,
    ) -> "Order":
        """Held to every limit, by the header alone: a bomb costs as much as any other refusal.

        Raises TooManyPixels, AnimatedImage, UnsupportedScale, WrongSize, FloatUnsupported, EnsembleUnsupported,
        OutputTooLarge.
        """
        check_header(header, limits.image)
        target = _target(header, model, params)
        order = cls(header, model.graph(target.scale), target, options, params)
        order.graph.check_can(bits=header.bits, ensemble=params.ensemble)
        check_fixed_size(header, order.manifest)
        height, width = order.network_size
        if height * width > limits.max_output_pixels:
            before = f" before it is reduced from scale {target.scale}" if order.is_reduced else ""
            raise OutputTooLarge(
                f"The answer would have {width} x {height} = {height * width} pixels{before}, "
                f"and the limit is {limits.max_output_pixels}.",
                members={"limit": limits.max_output_pixels, "actual": height * width},
            )
        return order

    @property
    def manifest(self) -> Manifest:
        """Of the graph that runs."""
        return self.graph.manifest

    @property
    def network_size(self) -> tuple[int, int]:
        """(height, width) of what the network answers."""
        return self.manifest.answer_side(self.header.height), self.manifest.answer_side(self.header.width)

    @property
    def is_reduced(self) -> bool:
        """Whether the caller wants fewer pixels than the network answers."""
        return self.network_size != (self.target.height, self.target.width)

    def peak_bytes(self, *, body_bytes: int) -> int:
        """Memory at most, the network's own excepted."""
        height, width = self.network_size
        return predicted_peak_bytes(
            self.header,
            self.options,
            network_pixels=height * width,
            answer_pixels=self.target.height * self.target.width,
            body_bytes=body_bytes,
        )

    def etag(self, content: bytes, *, max_tile: int) -> str:
        """The strong entity-tag of the answer to the picture whose file is `content`; hashing takes a while."""
        return strong_etag({"input": hashlib.sha256(content).hexdigest(), "tile": max_tile, **self._facts()})

    def _facts(self) -> Mapping[str, object]:
        """All that the answer depends on beside the picture."""
        params, options = self.params, self.options
        return {
            "graph": self.graph.sha256(wide=self.header.bits == 16 or params.ensemble),
            "device": self.graph.session.device,
            "direction": params.direction,
            "seed": params.seed if params.direction == "down" else None,
            "ensemble": params.ensemble,
            "tiling": params.tiling,
            "target": asdict(self.target),
            "format": options.format,
            "quality": (options.quality or DEFAULT_QUALITY[options.format])
            if options.format in DEFAULT_QUALITY
            else None,
            "compression": options.compression if options.format == "png" else None,
            "metadata": options.metadata,
        }


def _target(header: ImageHeader, model: ServedModel, params: UpscaleParams) -> Target:
    if params.direction == "up":
        return params.size.target(model.name, model.scales, height=header.height, width=header.width)
    facts = model.graph(int(params.scale or model.scales[0])).manifest
    return Target(facts.scale, facts.answer_side(header.height), facts.answer_side(header.width))


def check_fixed_size(header: ImageHeader, facts: Manifest) -> None:
    """Raises WrongSize where the network takes one size only, and this is another."""
    if facts.fixed_size is None:
        return
    height, width = (side * facts.input_scale for side in facts.fixed_size)
    if (header.height, header.width) != (height, width):
        raise WrongSize(
            f"The model {facts.model} takes pictures of {width}x{height} pixels only, and this one is "
            f"{header.width}x{header.height}.",
            members={"supported": [f"{width}x{height}"], "actual": f"{header.width}x{header.height}"},
        )
