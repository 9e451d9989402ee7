"""What a graph says of itself: the manifest, JSON under one key of the .onnx file's `metadata_props`.

A graph is served only with a valid manifest. It is read here without loading the graph, so that a store can
be checked (weights present, sha256 right) before ONNX Runtime sees a single file of it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from service.errors import StoreError

METADATA_KEY = "srserve.manifest"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$", max_length=255)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


FixedSide = Annotated[int, Field(ge=1, le=4096)]
NOISE_LENGTH = 64  # numbers in a noise vector (Bulat et al. 2018, section 3.1)


class Manifest(BaseModel):
    """The facts about one graph. Lengths are in LR pixels.

    `direction` "down" is a degradation: its graph goes from `scale` times as many pixels to LR ones, with `noise` as a
    second input; "up" is everything else.
    `noise` is what is drawn for a picture: nothing, one "vector", or a "map" of one number per pixel of the input.
    `fixed_size` is the (height, width) of the only LR image that the network takes; it is never tiled. None: any size.
    `size_multiple` is the grid that a tile's top and left must lie on.
    `halo_exact` is the receptive radius: with that much context a tile's core equals the whole image's.
    `halo` is the smallest context for which the export measured at most 1 grey level of difference.
    `psnr` is in dB on Y, by benchmark set.
    `weights` names the safetensors file beside the graph that holds its initialisers; None = self-contained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    manifest_version: Literal[1]
    model: Name
    family: Name
    scale: int = Field(ge=1, le=16)
    input: Literal["rgb", "y", "frames"]
    frame_window: int = Field(default=1, ge=1, le=31)
    direction: Literal["up", "down"] = "up"
    noise: Literal["none", "vector", "map"] = "none"
    fixed_size: tuple[FixedSide, FixedSide] | None = None
    pixels: Literal["uint8", "float32"]
    halo: int = Field(ge=0, le=4096)
    halo_exact: int = Field(ge=0, le=4096)
    size_multiple: int = Field(default=1, ge=1, le=256)
    weights: FileName | None
    weights_sha256: Sha256 | None
    precision: Literal["fp32", "fp16", "int8"]
    parameters: int = Field(ge=0)
    macs_per_lr_pixel: int = Field(ge=0)
    psnr: dict[str, FiniteFloat]
    paper: str
    licence: str = Field(min_length=1)
    sources: tuple[str, ...]
    exporter: dict[str, str]

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.halo > self.halo_exact:
            raise ValueError(f"halo {self.halo} is larger than halo_exact {self.halo_exact}")
        if (self.weights is None) != (self.weights_sha256 is None):
            raise ValueError("weights and weights_sha256 are given together or not at all")
        if self.frame_window % 2 == 0:
            raise ValueError(f"frame_window {self.frame_window} is even: the middle frame is the one kept")
        if self.frame_window > 1 and self.input != "frames":
            raise ValueError(f"frame_window {self.frame_window} needs input 'frames', not {self.input!r}")
        if (self.direction == "down") != (self.noise != "none"):
            raise ValueError(f"direction {self.direction!r} does not go with noise {self.noise!r}")
        if self.direction == "down" and self.input != "rgb":
            raise ValueError(f"direction 'down' needs input 'rgb', not {self.input!r}")
        if self.fixed_size is not None and self.halo_exact:
            raise ValueError(
                f"fixed_size {self.fixed_size} leaves nothing to tile, but halo_exact is {self.halo_exact}"
            )
        return self

    @property
    def input_name(self) -> Literal["lr", "hr"]:
        """Name of the graph's input of pixels."""
        return "lr" if self.direction == "up" else "hr"

    @property
    def output_name(self) -> Literal["sr", "lr"]:
        """Name of the graph's output."""
        return "sr" if self.direction == "up" else "lr"

    @property
    def input_scale(self) -> int:
        """Pixels of the graph's input along one side of an LR pixel: 1, and of a degradation `scale`."""
        return 1 if self.direction == "up" else self.scale

    def answer_side(self, side: int) -> int:
        """How long the answer's side is, in pixels, for an input's: `scale` times, or divided by it and rounded up."""
        return side * self.scale if self.direction == "up" else -(-side // self.scale)

    def macs(self, input_pixels: int) -> int:
        """Multiply-accumulates of a run on so many pixels of the graph's input."""
        return input_pixels * self.macs_per_lr_pixel // self.input_scale**2


def read_manifest(path: Path) -> Manifest:
    """The manifest of the graph at `path`; the graph itself is not loaded.

    Raises StoreError, naming file, field and cure, when the file is missing, is not ONNX, or carries no valid
    manifest.
    """
    try:
        with path.open("rb") as file:
            metadata = dict(_metadata_props(file))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}). Cure: restore the file.") from error
    except ValueError as error:
        raise StoreError(f"{path}: is not an ONNX file ({error}). Cure: export the graph again.") from error
    return parse_manifest(metadata, path=path)


def parse_manifest(metadata: Mapping[str, str], *, path: Path) -> Manifest:
    """The manifest in a graph's metadata; `path` only names the file in the message of the StoreError."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise StoreError(
            f"{path}: metadata_props has no {METADATA_KEY!r}, so nothing says what this graph is. "
            f"Cure: export it with `python -m export`, or add a manifest as docs/manifest.md describes."
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        fields = "; ".join(
            f"field {'.'.join(str(part) for part in e['loc']) or '(whole)'}: {e['msg']}" for e in error.errors()
        )
        raise StoreError(
            f"{path}: its manifest ({METADATA_KEY}) is not valid: {fields}. Cure: correct it or export again."
        ) from error


# --- ModelProto on the wire. Only two facts of onnx.proto are needed: metadata_props is field 14, its entries
# are (1: key, 2: value). Reading them by hand keeps the onnx package out of the service.

_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_METADATA_BYTES = 1 << 20


def _metadata_props(file: BinaryIO) -> Iterator[tuple[str, str]]:
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise ValueError("it is empty")
    while file.tell() < size:
        field, length = _next_field(file, end=size)
        if field == _METADATA_PROPS and length is not None:
            yield _entry(file, length)
        elif length is not None:
            file.seek(length, 1)  # the graph, with all its weights, is skipped and not read


def _entry(file: BinaryIO, length: int) -> tuple[str, str]:
    if length > _MAX_METADATA_BYTES:
        raise ValueError(f"a metadata entry of {length} bytes")
    end = file.tell() + length
    texts = {_KEY: "", _VALUE: ""}
    while file.tell() < end:
        field, size = _next_field(file, end=end)
        if size is not None:
            texts[field] = file.read(size).decode("utf-8")
    return texts[_KEY], texts[_VALUE]


def _next_field(file: BinaryIO, *, end: int) -> tuple[int, int | None]:
    """(field number, bytes of payload that follow), or (field number, None) for a number, already skipped."""
    tag = _varint(file)
    field, kind = tag >> 3, tag & 7
    if kind == _VARINT:
        _varint(file)
        return field, None
    if kind not in {_BYTES, _FIXED32, _FIXED64}:
        raise ValueError(f"no protobuf field has wire type {kind}")
    length = _varint(file) if kind == _BYTES else 4 if kind == _FIXED32 else 8
    if file.tell() + length > end:
        raise ValueError("it is cut short")
    if kind != _BYTES:
        file.seek(length, 1)
        return field, None
    return field, length


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is cut short")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number runs over ten bytes")
