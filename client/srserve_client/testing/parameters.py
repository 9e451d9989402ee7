"""The fake's query parameters, refused as the service refuses them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import httpx2

from srserve_client.problems import BadParameter, UnknownModel, UnsupportedScale, WrongEndpoint

Direction = Literal["up", "down"]

FORMATS = ("png", "jpeg", "webp", "avif", "tiff")
ENDPOINTS: dict[Direction, str] = {"up": "/upscale", "down": "/degrade"}
CHOICES: Mapping[str, Sequence[str]] = {
    "tiling": ("fast", "exact"),
    "compression": ("fast", "small"),
    "metadata": ("keep", "strip"),
    "ensemble": ("false", "true"),
    "scene_detection": ("on", "off"),
    "codec": ("h264", "h265", "av1", "ffv1"),
    "container": ("mp4", "mov", "mkv", "webm"),
}
NUMBERS = {"width": (1, 2**31), "height": (1, 2**31), "quality": (1, 100), "seed": (0, 2**63 - 1), "crf": (0, 63)}
NEEDS_SCALE = ("/upscale/frames",)
_UPSCALE = ("model", "scale", "width", "height", "format", "quality", "compression", "tiling", "ensemble", "metadata")
KNOWN = {
    "/upscale": _UPSCALE,
    "/estimate": _UPSCALE,
    "/degrade": ("model", "scale", "seed", "format", "quality", "compression", "tiling", "metadata"),
    "/upscale/frames": ("model", "scale", "format", "quality", "tiling", "metadata", "scene_detection"),
    "/jobs": (
        *("model", "scale", "width", "height", "tiling", "ensemble", "format", "quality", "metadata"),
        *("codec", "crf", "container", "scene_detection"),
    ),
}


@dataclass(frozen=True)
class FakeModel:
    """A model that copies pixels: `up` makes more of them, `down` fewer."""

    name: str
    scales: tuple[int, ...]
    direction: Direction = "up"


@dataclass(frozen=True)
class Parameters:
    """What was asked for; `format` None: the Accept header chooses."""

    model: FakeModel
    scale: float | None
    width: int | None = None
    height: int | None = None
    seed: int = 0
    format: str | None = None
    quality: int = 90
    tiling: str = "fast"
    ensemble: bool = False
    raw: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, query: httpx2.QueryParams, models: Mapping[str, FakeModel]) -> "Parameters":
        """Of a request to /upscale, /degrade or /jobs. Raises BadParameter, UnknownModel, UnsupportedScale."""
        _check_names(path, query, models)
        fractions = path in ("/upscale", "/jobs", "/estimate")
        _check_values(query, fractions=fractions)
        if query["model"] not in models:
            raise UnknownModel(f"There is no model {query['model']!r}.", members={"available": sorted(models)})
        model = models[query["model"]]
        direction: Direction = "down" if path == "/degrade" else "up"
        if model.direction != direction and path != "/estimate":
            endpoint = ENDPOINTS[model.direction]
            raise WrongEndpoint(f"{model.name} is served at {endpoint}.", members={"endpoint": endpoint})
        if query.get("format", "png") not in FORMATS:
            raise BadParameter("format is none.", members={"parameter": "format", "supported": list(FORMATS)})
        made = cls(
            model,
            float(query["scale"]) if "scale" in query else None,
            width=int(query["width"]) if "width" in query else None,
            height=int(query["height"]) if "height" in query else None,
            seed=int(query.get("seed", 1)),
            format=query.get("format"),
            quality=int(query.get("quality", 90)),
            tiling=query.get("tiling", "fast"),
            ensemble=query.get("ensemble") == "true",
            raw=dict(query),
        )
        made._check_size(fractions=fractions)
        return made

    def target(self, width: int, height: int) -> tuple[int, int, int]:
        """(scale that runs, width, height of the answer) for a picture of that size. Raises UnsupportedScale."""
        scales = self.model.scales
        if self.model.direction == "down":
            scale = int(self.scale or scales[0])
            return scale, -(-width // scale), -(-height // scale)
        if self.width is None and self.height is None:
            factor = self.scale or scales[0]
            wanted = _rounded(width * factor), _rounded(height * factor)
        else:
            wide = self.width or _rounded(width * (self.height or 0) / height)
            wanted = wide, self.height or _rounded(height * wide / width)
        for name, side, side_wanted in (("width", width, wanted[0]), ("height", height, wanted[1])):
            limit = [side, side * max(scales)]
            if not limit[0] <= side_wanted <= limit[1]:
                members = {"parameter": name, "limit": limit, "actual": side_wanted}
                raise UnsupportedScale(f"{name} would be {side_wanted}.", members=members)
        scale = next(s for s in sorted(scales) if wanted[0] <= width * s and wanted[1] <= height * s)
        return scale, *wanted

    def _check_size(self, *, fractions: bool) -> None:
        scales, sides = self.model.scales, [name for name in ("width", "height") if getattr(self, name) is not None]
        members: dict[str, object] = {"supported": list(scales)}
        if self.scale is None:
            if not sides and len(scales) > 1:
                raise _missing("scale", list(scales))
        elif sides:
            raise BadParameter("scale excludes the others.", members={"parameter": sides[0]})
        elif fractions and not 1 <= self.scale <= max(scales):
            members |= {"limit": [1, max(scales)], "actual": self.scale}
            raise UnsupportedScale(f"{self.model.name} has no scale {self.scale:g}.", members=members)
        elif not fractions and self.scale not in scales:
            if self.model.direction == "down" and not 1 <= self.scale <= max(scales):
                members |= {"limit": [1, max(scales)], "actual": self.scale}
            raise UnsupportedScale(f"{self.model.name} has no scale {self.scale:g}.", members=members)


def _rounded(side: float) -> int:
    return max(1, math.floor(side + 0.5))


def _check_names(path: str, query: httpx2.QueryParams, models: Mapping[str, FakeModel]) -> None:
    known = KNOWN[path]
    for name in query:
        if name not in known:
            raise BadParameter(f"There is no parameter {name!r}.", members={"parameter": name, "known": list(known)})
        if len(query.get_list(name)) > 1:
            raise BadParameter(f"{name} is given several times; give it once.", members={"parameter": name})
    if "model" not in query:
        raise _missing("model", sorted(models))
    if path in NEEDS_SCALE and "scale" not in query and query["model"] in models:
        raise _missing("scale", list(models[query["model"]].scales))


def _check_values(query: httpx2.QueryParams, *, fractions: bool) -> None:
    faults = [name for name, choices in CHOICES.items() if query.get(name, choices[0]) not in choices]
    for name, (least, most) in NUMBERS.items():
        value = query.get(name, str(least))
        if not (value.isdecimal() and least <= int(value) <= most):
            faults.append(name)
    try:
        if not fractions:
            int(query.get("scale", "1"))
        float(query.get("scale", "1"))
    except ValueError:
        faults.append("scale")
    if faults:
        errors = [{"parameter": name, "detail": "is not valid", "actual": query[name]} for name in faults]
        raise BadParameter(f"{', '.join(faults)}: not valid.", members={"errors": errors})


def _missing(name: str, available: list[str] | list[int]) -> BadParameter:
    return BadParameter(f"The parameter {name} is missing.", members={"parameter": name, "available": available})
