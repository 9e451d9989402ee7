"""The manifest of a graph, from the checkpoint that it is made of: what the service needs to know without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import onnx
from pydantic import TypeAdapter, ValidationError

from export.errors import ExportError
from export.luma import REACH
from export.pixels import Pixels
from export.trace import OPSET
from models.checkpoint import Checkpoint
from models.config import NetworkConfig, count_parameters
from models.degradation import H2lConfig
from service.manifest import METADATA_KEY, Manifest, Name

TOOLS = ("torch", "onnx", "onnxscript")
NAMED_SCALE = re.compile(r"(?P<name>.*) x(?P<scale>\d+)")  # of a score, where the checkpoint has several scales


@dataclass(frozen=True)
class Weights:
    """The file that a graph points into."""

    name: str
    sha256: str


def describe(checkpoint: Checkpoint, *, model: str, scale: int, pixels: Pixels, weights: Weights) -> Manifest:
    """The manifest of one scale, as far as the checkpoint tells it.

    `halo` is `halo_exact`, the safe value, until `export.halo` has measured better; `macs_per_lr_pixel` is the
    network's, until `export.count` has counted the graph's. Parameters and scores are those of this scale.

    Raises:
        ExportError: the checkpoint's provenance, or the model's name, is nothing a manifest can hold.
    """
    config, provenance = checkpoint.config, checkpoint.provenance
    halo = _halo_exact(config)
    try:
        return Manifest(
            manifest_version=1,
            model=model,
            family=config.family,
            scale=scale,
            input=config.input_kind,
            frame_window=config.frame_window,
            direction=config.direction,
            noise=config.noise if isinstance(config, H2lConfig) else "none",
            fixed_size=config.fixed_size,
            pixels=pixels,
            halo=halo,
            halo_exact=halo,
            size_multiple=config.size_multiple,
            weights=weights.name,
            weights_sha256=weights.sha256,
            precision="fp32",
            parameters=count_parameters(config.at_scale(checkpoint.network, scale)),
            macs_per_lr_pixel=config.macs_per_lr_pixel(scale),
            psnr=_scores(config, provenance, scale),
            paper=config.paper,
            licence=provenance.get("licence", "not stated"),
            sources=_sources(provenance),
            exporter=tool_versions(),
        )
    except ValueError as error:  # pydantic's
        raise ExportError(f"{model}: no valid manifest can be made of this checkpoint: {error}") from error


def check_model_name(model: str) -> None:
    """Refuses, before any work, a name that no manifest could carry; it is also a folder's name.

    Raises:
        ExportError: anything but up to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit.
    """
    try:
        TypeAdapter(Name).validate_python(model)
    except ValidationError as error:
        raise ExportError(
            f"{model!r} cannot name a model: up to 64 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit"
        ) from error


def tool_versions() -> dict[str, str]:
    """What wrote the graph. Local version labels (+cpu, +cu130) are dropped: the graph does not depend on them."""
    return {"opset": str(OPSET)} | {tool: version(tool).partition("+")[0] for tool in TOOLS}


def write_manifest(proto: onnx.ModelProto, manifest: Manifest) -> None:
    """Puts the manifest, and nothing else, into the graph's metadata."""
    del proto.metadata_props[:]
    proto.metadata_props.add(key=METADATA_KEY, value=manifest.model_dump_json())


def _halo_exact(config: NetworkConfig) -> int:
    """Of the graph: the network's, and that of the chroma around a luma network, which is enlarged beside it."""
    if not config.tileable:
        return 0
    return config.halo_exact if config.input_kind == "rgb" else max(config.halo_exact, REACH)


def _scores(config: NetworkConfig, provenance: Mapping[str, Any], scale: int) -> dict[str, Any]:
    """PSNR by test set. Training writes "Set5 x3" where a checkpoint has several scales, else "Set5"."""
    scores: dict[str, Any] = provenance.get("psnr", {})
    if len(config.scales) == 1:
        return scores
    named = {NAMED_SCALE.fullmatch(label): score for label, score in scores.items()}
    return {match["name"]: score for match, score in named.items() if match and int(match["scale"]) == scale}


def _sources(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{source['name']} ({source.get('licence', 'licence not stated')})" for source in provenance.get("sources", [])
    )
