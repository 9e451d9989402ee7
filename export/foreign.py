"""Anybody's ONNX graph of a single picture, put behind the graph contract: bytes in, bytes out, a manifest on it.

    file -> one picture in, one out? -> axes, size, scale -> our pixels before and after it -> as the file alone?
         -> does it look like the picture? -> how far it sees, halo -> store/<model>/x<scale>.onnx and its float32 twin

What no graph says of itself is asked for: the range of its values, the order of its channels. Both are held against a
photograph: an answer that does not look like it is refused.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import compose

from export.describe import check_model_name, write_manifest
from export.errors import ForeignRefused, ParityFailed
from export.foreign_graph import Batch, ForeignGraph, read_foreign
from export.halo import measure_halo
from export.luma import BLUE, GREEN, RED
from export.photographs import Pixels8
from export.pixels import Pixels
from export.reach import measure_reach
from export.store import THREADS, Report, staging
from export.surround import Channels, Layout, after, before
from export.trace import OPSET
from export.twins import pictures, twin_difference
from service.manifest import Manifest
from service.sessions import Session

LEAST_DB = 20.0  # of a photograph's answer, reduced to its size again; trained networks reach 30 and more
MAX_DIFFERENCE = 0.01  # grey levels, before rounding, between the file's own answer and ours


@dataclass(frozen=True)
class Terms:
    """What the graph does not say: the name to serve it under, and whose it is."""

    model: str
    licence: str = "not stated"
    paper: str = ""


def export_foreign(
    file: Path,
    terms: Terms,
    *,
    store: Path,
    channels: Channels | None = None,
    value_range: float = 1.0,
    report: Report = lambda line: None,
) -> list[Path]:
    """Puts two graphs made of the ONNX `file` into `store`, or changes nothing; their paths.

    `channels` None: RGB. `value_range` is 1 or 255, of what the graph takes and gives.

    Raises:
        ForeignRefused: it cannot be served, or does not enlarge a photograph into anything like it.
        ParityFailed: behind the contract it does not compute what it computed.
        ExportError: its name is none, or its tiles differ from the whole at any halo.
        StoreError: the session that serves refuses it.
    """
    check_model_name(terms.model)
    graph = read_foreign(file, channels=channels, value_range=value_range)
    report(f"{file.name}: x{graph.scale}, {graph.layout.channels}, {graph.parameters()} parameters")
    with staging(store / terms.model) as folder:
        exact = _Draft.of(graph, "float32", terms, folder / f"x{graph.scale}.float32.onnx")
        served = _Draft.of(graph, "uint8", terms, folder / f"x{graph.scale}.onnx")
        report(f"behind our pixels at most {_difference(graph, exact.open()):.2g} grey levels from the file alone")
        _check_likeness(exact.open())
        reach = 0 if graph.fixed_size else measure_reach(exact.open().run, scale=graph.scale)
        exact, served = (draft.changed(halo=reach, halo_exact=reach) for draft in (exact, served))
        halo = measure_halo(exact.open())
        report(f"it sees {reach} pixels around a pixel; tiles fit together with {halo}")
        exact, served = (draft.changed(halo=halo) for draft in (exact, served))
        twin_difference(served.open(), exact.open())
        return [draft.path.replace(store / terms.model / draft.path.name) for draft in (served, exact)]


@dataclass(frozen=True)
class _Draft:
    """A graph in the staging folder."""

    proto: onnx.ModelProto
    manifest: Manifest
    path: Path

    @classmethod
    def of(cls, graph: ForeignGraph, pixels: Pixels, terms: Terms, path: Path) -> "_Draft":
        return cls(surrounded(graph, pixels), _facts(graph, terms, pixels), path).changed()

    def changed(self, **facts: int) -> "_Draft":
        """The same with other facts, written."""
        manifest = self.manifest.model_copy(update=facts)
        write_manifest(self.proto, manifest)
        self.path.write_bytes(self.proto.SerializeToString(deterministic=True))
        return _Draft(self.proto, manifest, self.path)

    def open(self) -> Session:
        """By the very class that serves it."""
        return Session.open(self.path, device="cpu", threads=THREADS)


def surrounded(graph: ForeignGraph, pixels: Pixels) -> onnx.ModelProto:
    """The graph between our pixels; all of its own names begin with foreign/."""
    first, last = before(graph.layout, pixels), after(graph.layout, pixels, scale=graph.scale)
    inner = compose.add_prefix(graph.proto, "foreign/")
    for proto in (first, inner, last):
        proto.ir_version = max(first.ir_version, inner.ir_version)
    given, answered = f"foreign/{graph.input_name}", f"foreign/{graph.output_name}"
    front = compose.merge_models(first, inner, [("values", given)], outputs=[answered, "planes"])
    last = compose.add_prefix(last, "after/", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(front, last, [(answered, "answer"), ("planes", "planes")])


def _facts(graph: ForeignGraph, terms: Terms, pixels: Pixels) -> Manifest:
    return Manifest(
        manifest_version=1,
        model=terms.model,
        family="foreign",
        scale=graph.scale,
        input="y" if graph.layout.is_luma else "rgb",
        fixed_size=graph.fixed_size,
        pixels=pixels,
        halo=0,
        halo_exact=0,
        weights=None,
        weights_sha256=None,
        precision="fp32" if graph.layout.element == onnx.TensorProto.FLOAT else "fp16",
        parameters=graph.parameters(),
        macs_per_lr_pixel=graph.macs_per_lr_pixel(),
        psnr={},
        paper=terms.paper,
        licence=terms.licence,
        sources=(),
        exporter={"opset": str(OPSET), "onnx": onnx.__version__, "halo_exact": "found by trying"},
    )


def _difference(graph: ForeignGraph, session: Session) -> float:
    """The largest difference, in grey levels, between a float session and the file alone, on noise and photographs.

    Of a luma network it is that of the luma in the answer. Raises ParityFailed above MAX_DIFFERENCE.
    """
    largest = 0.0
    for what, picture in pictures(session.manifest):
        alone = graph.run(_as_values(picture, graph.layout)) * (255 / graph.layout.value_range)
        answer = _as_values(session.run(picture.astype(np.float32) / 255) * 255, graph.layout, value_range=255)
        difference = float(np.abs(answer - alone).max())
        if difference > MAX_DIFFERENCE:
            raise ParityFailed(f"{what}: {difference:.3g} grey levels from what the file alone makes of it")
        largest = max(largest, difference)
    return largest


def _as_values(picture: Pixels8 | Batch, layout: Layout, *, value_range: float | None = None) -> Batch:
    """[N,H,W,3] in [0, 255] as a foreign graph holds it, by its definition."""
    values = picture.astype(np.float32)
    if layout.channels == "bgr":
        values = values[..., ::-1]
    if layout.is_luma:
        black, white = layout.black_and_white
        weights = np.array([RED, GREEN, BLUE], np.float32)
        values = (values @ weights)[..., np.newaxis] * np.float32(white - black) + np.float32(255 * black)
    values = values * np.float32((value_range or layout.value_range) / 255)
    return np.ascontiguousarray(np.moveaxis(values, -1, 1) if layout.channels_first else values)


def _check_likeness(session: Session) -> None:
    """Raises ForeignRefused when a photograph's answer, reduced to its size again, is not that photograph."""
    *_, (what, picture) = pictures(session.manifest)
    answer = session.run(picture.astype(np.float32) / 255).clip(0, 1)
    batch, height, width, _ = picture.shape
    scale = session.manifest.scale
    reduced = answer.reshape(batch, height, scale, width, scale, 3).mean(axis=(2, 4))
    error = float(np.square(reduced - picture.astype(np.float32) / 255).mean())
    reached = -10 * np.log10(error + 1e-12)
    if reached < LEAST_DB:
        raise ForeignRefused(
            f"its answer for a photograph ({what}), reduced to its size again, is only {reached:.1f} dB from it "
            f"(expected: {LEAST_DB:.0f} or more). Are --range and --channels right?"
        )
