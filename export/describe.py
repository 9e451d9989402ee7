"""The manifest of a graph, from the checkpoint that it was made of: what the service needs to know without torch."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import onnx
from pydantic import TypeAdapter, ValidationError

from export.collapse import collapsed_macs
from export.errors import ExportError
from export.trace import OPSET, Pixels
from models.checkpoint import Checkpoint
from models.config import NetworkConfig, count_parameters
from models.edsr import EdsrConfig
from service.manifest import METADATA_KEY, Manifest, Name

TOOLS = ("torch", "onnx", "onnxscript")


def describe(
    checkpoint: Checkpoint, *, model: str, scale: int, pixels: Pixels, weights: str, weights_sha256: str
) -> Manifest:
    """The manifest with `halo` = `halo_exact`, the safe value, until `export.halo` has measured better.

    Raises:
        ExportError: the checkpoint's provenance, or the model's name, is nothing a manifest can hold.
    """
    config, provenance = checkpoint.config, checkpoint.provenance
    try:
        return Manifest(
            manifest_version=1,
            model=model,
            family=config.family,
            scale=scale,
            input=config.input_kind,
            frame_window=config.frame_window,
            pixels=pixels,
            halo=config.halo_exact,
            halo_exact=config.halo_exact,
            size_multiple=config.size_multiple,
            weights=weights,
            weights_sha256=weights_sha256,
            precision="fp32",
            parameters=count_parameters(checkpoint.network),
            macs_per_lr_pixel=_macs(config, scale),
            psnr=provenance.get("psnr", {}),
            paper=config.paper,
            licence=provenance.get("licence", "not stated"),
            sources=_sources(provenance),
            exporter=tool_versions(),
        )
    except ValueError as error:  # pydantic's, or the config's own: it has no halo, for instance
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


def _macs(config: NetworkConfig, scale: int) -> int:
    """Of the graph, which is what a request's time is predicted from; see `export.collapse`."""
    return collapsed_macs(config) if isinstance(config, EdsrConfig) else config.macs_per_lr_pixel(scale)


def _sources(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{source['name']} ({source.get('licence', 'licence not stated')})" for source in provenance.get("sources", [])
    )
