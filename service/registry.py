"""The registry: everything in the model store, opened and checked, by model and scale.

    store/<model>/x<scale>.onnx            served for 8-bit pixels
    store/<model>/x<scale>.float32.onnx    its twin in float32, for 16-bit pixels
    store/<model>/<name>.safetensors       weights that graphs point into

What is wrong with the store stops start-up: every error is a StoreError that names file, field and cure.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from service.ensemble import RUNS, EnsembleSession
from service.errors import EnsembleUnsupported, FloatUnsupported, StoreError, UnknownModel, UnsupportedScale
from service.manifest import Manifest
from service.sessions import Device, DeviceChoice, Runnable, Session, WeightDigests

_GRAPH_NAME = re.compile(r"x(?P<scale>[0-9]+)(?P<twin>\.float32)?\.onnx")
# A twin computes the same function as its graph, so these must not differ.
_SHARED_WITH_TWIN = (
    *("family", "input", "frame_window", "direction", "noise", "fixed_size", "size_multiple"),
    *("weights_sha256", "halo_exact"),
)


@dataclass(frozen=True, slots=True)
class _Opening:
    """How the sessions of this process are opened."""

    device: DeviceChoice
    threads: int
    digests: WeightDigests

    def open(self, path: Path) -> Session:
        return Session.open(path, device=self.device, threads=self.threads, digests=self.digests)


class ServedGraph:
    """One model at one scale. `session` takes uint8 pixels; `twin` is its twin's file, and `twin_sha256` its digest."""

    def __init__(
        self, session: Session, *, twin: Path | None, twin_sha256: str | None = None, opening: _Opening
    ) -> None:
        self.session = session
        self._twin = twin
        self._twin_sha256 = twin_sha256
        self._opening = opening
        self._float_session: Session | None = None
        self._ensembles: dict[int, EnsembleSession] = {}
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """What the graph says of itself."""
        return self.session.manifest

    @property
    def has_float(self) -> bool:
        """Whether there is a float32 twin, so that 16-bit pixels can be served."""
        return self._twin is not None

    @property
    def has_ensemble(self) -> bool:
        """Whether the mean of eight orientations can be had."""
        return self._obstacle_to_ensemble() is None

    def check_can(self, *, bits: int, ensemble: bool) -> None:
        """Raises FloatUnsupported or EnsembleUnsupported for what session_for could not give."""
        if ensemble and (obstacle := self._obstacle_to_ensemble()):
            raise EnsembleUnsupported(f"The model {self.manifest.model} has no ensemble: {obstacle}.")
        if bits != 8 and not self.has_float:
            raise FloatUnsupported(
                f"The model {self.manifest.model} at scale {self.manifest.scale} has no graph for 16-bit pixels. "
                f"Send the image with 8 bits per channel."
            )

    def session_for(self, *, bits: int, ensemble: bool) -> Runnable:
        """What runs pictures of so many bits. It is always the same, so that requests share batches.

        May open the twin, see `float_session`. Raises as check_can.
        """
        self.check_can(bits=bits, ensemble=ensemble)
        if not ensemble:
            return self.session if bits == 8 else self.float_session
        session = self.float_session
        with self._lock:
            if bits not in self._ensembles:
                self._ensembles[bits] = EnsembleSession(session, pixels="uint8" if bits == 8 else "float32")
            return self._ensembles[bits]

    def sha256(self, *, wide: bool) -> str:
        """Of the graph file that runs, its twin where `wide`; it holds the weights' digest."""
        return (self._twin_sha256 or "") if wide else self.session.sha256

    def macs(self, input_pixels: int, *, ensemble: bool) -> int:
        """Multiply-accumulates of a run on so many pixels."""
        return self.manifest.macs(input_pixels) * (RUNS if ensemble else 1)

    def _obstacle_to_ensemble(self) -> str | None:
        facts = self.manifest
        if facts.direction == "down":
            return "it is a degradation"
        if facts.input != "rgb":
            return f"its network sees {'luma' if facts.input == 'y' else 'frames'}, not colours"
        if facts.fixed_size is not None:
            return "it takes pictures of one size only"
        return None if self.has_float else "it has no float32 graph, whose answers could be averaged"

    @property
    def float_session(self) -> Session:
        """The session that takes float32 pixels.

        The first use opens it, which takes tens of milliseconds or more: call from a worker thread. Raises
        FloatUnsupported if there is no twin.
        """
        self.check_can(bits=16, ensemble=False)
        assert self._twin is not None
        with self._lock:
            if self._float_session is None:
                self._float_session = self._opening.open(self._twin)
            return self._float_session


class ServedModel:
    """One folder of the store: a model and the scales it has."""

    def __init__(self, name: str, graphs: Mapping[int, ServedGraph]) -> None:
        self.name = name
        self.graphs = MappingProxyType(dict(sorted(graphs.items())))

    @property
    def direction(self) -> Literal["up", "down"]:
        """Of all its graphs."""
        return next(iter(self.graphs.values())).manifest.direction

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales, smallest first."""
        return tuple(self.graphs)

    def graph(self, scale: int) -> ServedGraph:
        """The graph for `scale`. Raises UnsupportedScale, which lists the scales there are."""
        if scale not in self.graphs:
            raise UnsupportedScale(
                f"The model {self.name} has no scale {scale}. It has {', '.join(map(str, self.scales))}.",
                members={"supported": list(self.scales)},
            )
        return self.graphs[scale]


class Registry:
    """All served models by name."""

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self.models = MappingProxyType(dict(sorted(models.items())))

    @classmethod
    def open(cls, store: Path, *, device: DeviceChoice = "auto", threads: int = 0) -> "Registry":
        """Opens every graph of the store; twins are opened to be checked, and again when they are first used.

        Raises StoreError for the first fault found, also for a store without any graph.
        """
        if not store.is_dir():
            raise StoreError(f"{store}: the model store is not a folder. Cure: set SR_STORE to one that is there.")
        for stray in sorted(store.glob("*.onnx")):
            raise StoreError(f"{stray}: lies outside a model's folder. Cure: move it to <model>/x<scale>.onnx.")
        opening = _Opening(device, threads, WeightDigests())
        models = {
            folder.name: _open_model(folder, opening)
            for folder in sorted(store.iterdir())
            if folder.is_dir() and any(folder.glob("*.onnx"))
        }
        if not models:
            raise StoreError(f"{store}: has no graph. Cure: export one with `python -m export`.")
        return cls(models)

    @property
    def device(self) -> Device:
        """What runs the graphs: "cuda" if it runs one of them, for they share one queue."""
        devices = {graph.session.device for model in self.models.values() for graph in model.graphs.values()}
        return "cuda" if "cuda" in devices else "cpu"

    def get(self, name: str) -> ServedModel:
        """The model of that name. Raises UnknownModel, which lists the names there are."""
        if name not in self.models:
            raise UnknownModel(
                f"There is no model {name!r}. There is {', '.join(self.models)}.",
                members={"available": list(self.models)},
            )
        return self.models[name]

    def sessions(self) -> list[Session]:
        """Those for 8-bit pixels, of all graphs."""
        return [graph.session for model in self.models.values() for graph in model.graphs.values()]

    def warm_up(self) -> None:
        """Runs every graph for 8-bit pixels twice; blocks. Raises StoreError if one breaks the graph contract."""
        for session in self.sessions():
            session.warm_up()


def _open_model(folder: Path, opening: _Opening) -> ServedModel:
    graphs, twins = _graph_files(folder)
    for scale, twin in twins.items():
        if scale not in graphs:
            raise StoreError(f"{twin}: is a twin of x{scale}.onnx, which is not there. Cure: export both.")
    served = {}
    for scale, path in graphs.items():
        session = opening.open(path)
        _check_place(session, model=folder.name, scale=scale, pixels="uint8")
        twin_path = twins.get(scale)
        twin_session = None if twin_path is None else opening.open(twin_path)
        if twin_session is not None:
            _check_twin(twin_session, session, scale=scale)
        twin_sha256 = twin_session.sha256 if twin_session is not None else None
        served[scale] = ServedGraph(session, twin=twin_path, twin_sha256=twin_sha256, opening=opening)
    _check_alike(served)
    return ServedModel(folder.name, served)


def _graph_files(folder: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """The folder's graphs and their float32 twins, by scale as the file names state it."""
    graphs: dict[int, Path] = {}
    twins: dict[int, Path] = {}
    for path in sorted(folder.glob("*.onnx")):
        name = _GRAPH_NAME.fullmatch(path.name)
        if name is None:
            raise StoreError(
                f"{path}: the file name does not state the scale. Cure: name it x<scale>.onnx, its twin for "
                f"16-bit pixels x<scale>.float32.onnx."
            )
        kind = twins if name["twin"] else graphs
        scale = int(name["scale"])
        if scale in kind:
            raise StoreError(f"{path}: is a duplicate of {kind[scale].name}. Cure: remove one of the two.")
        kind[scale] = path
    return graphs, twins


def _check_place(session: Session, *, model: str, scale: int, pixels: str) -> None:
    """The manifest must say what the file's place in the store says."""
    for field, stated in (("model", model), ("scale", scale), ("pixels", pixels)):
        found = getattr(session.manifest, field)
        if found != stated:
            raise StoreError(
                f"{session.path}: its manifest's field {field} is {found!r}, but its place in the store says "
                f"{stated!r}. Cure: move the file to where it belongs, or export again."
            )


def _check_alike(served: Mapping[int, ServedGraph]) -> None:
    """A model is of one kind and served at one path, so all its graphs go one way and see the same."""
    first, *others = served.values()
    for field, other in product(("direction", "input"), others):
        found, due = getattr(other.manifest, field), getattr(first.manifest, field)
        if found != due:
            raise StoreError(
                f"{other.session.path}: its manifest's field {field} is {found!r}, but that of "
                f"{first.session.path.name} is {due!r}. Cure: make them two models."
            )


def _check_twin(twin: Session, session: Session, *, scale: int) -> None:
    _check_place(twin, model=session.manifest.model, scale=scale, pixels="float32")
    for field in _SHARED_WITH_TWIN:
        own, other = getattr(twin.manifest, field), getattr(session.manifest, field)
        if own != other:
            raise StoreError(
                f"{twin.path}: its manifest's field {field} is {own!r}, but that of {session.path.name}, whose twin "
                f"it is, is {other!r}. Cure: export both from the same weights."
            )
