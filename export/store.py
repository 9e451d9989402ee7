"""The way through an export, written once: checkpoint -> collapse -> trace -> point -> parity -> halo -> store.

    store/<model>/x<scale>.safetensors      the weights, copied as they are; of several scales x2x3x4.safetensors
    store/<model>/x<scale>.onnx             the graph with uint8 pixels, one for each scale
    store/<model>/x<scale>.float32.onnx     its twin with float32 pixels

All of it is made and proved in a staging folder first. A failure leaves the store as it was; a success
moves the files in one by one, weights first. Each move is atomic; between two of them a service that starts
finds a graph whose sha256 does not match, and says so instead of serving a mixture.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import onnx

from export.count import macs_per_lr_pixel
from export.describe import Weights, check_model_name, describe, write_manifest
from export.errors import ExportError
from export.external import point_into
from export.halo import measure_halo
from export.parity import check_parity
from export.pixels import WRAPPED, Pixels, with_pixels
from export.rewrite import rewritten
from export.trace import trace
from models.checkpoint import Checkpoint, load_checkpoint
from models.config import NetworkConfig
from service.manifest import Manifest
from service.sessions import Session

PIXELS: tuple[Pixels, ...] = ("uint8", "float32")
THREADS = 0  # ONNX Runtime's own choice: as many as there are cores

Report = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """The files that one export has put into the store, and the halo of each scale."""

    weights: Path
    graphs: tuple[Path, ...]
    halos: Mapping[int, int]


@dataclass(frozen=True)
class Draft:
    """A traced graph in the staging folder, before its halo is known."""

    proto: onnx.ModelProto
    manifest: Manifest
    path: Path

    def save(self, *, halo: int | None = None) -> None:
        """Writes the graph with its manifest, `halo` replaced where it is known by now."""
        manifest = self.manifest if halo is None else self.manifest.model_copy(update={"halo": halo})
        write_manifest(self.proto, manifest)
        self.path.write_bytes(self.proto.SerializeToString(deterministic=True))


def export_checkpoint(
    file: Path,
    *,
    model: str,
    store: Path,
    halos: Mapping[int, int] | None = None,
    report: Report = lambda line: None,
) -> Exported:
    """Puts the checkpoint `file` and two graphs for each of its scales into `store`, or changes nothing.

    `halos`, by scale, are measured unless given; `report` receives one line per finished step.

    Raises:
        ExportError: tracing, parity or the halo failed.
        CheckpointError: `file` is not a checkpoint.
        StoreError: the session that serves refuses a graph.
    """
    check_model_name(model)
    checkpoint = load_checkpoint(file)
    with staging(store / model) as folder:
        copy = folder / weights_name(checkpoint.config)
        shutil.copyfile(file, copy)
        found: dict[int, int] = {}
        paths = [copy]
        for scale in checkpoint.config.scales:
            drafts = [_draft(checkpoint, copy, model=model, scale=scale, pixels=each, report=report) for each in PIXELS]
            found[scale] = halos[scale] if halos else _measured_halo(drafts[1], report)
            for draft in drafts:
                draft.save(halo=found[scale])
                Session.open(draft.path, device="cpu", threads=THREADS)  # what is published is what was opened
                paths.append(draft.path)
        weights, *graphs = [path.replace(store / model / path.name) for path in paths]
    return Exported(weights, tuple(graphs), found)


def export_store(store: Path, *, report: Report = lambda line: None) -> list[Exported]:
    """Makes every graph of `store` again, from the checkpoints that are there, one checkpoint after the other.

    Raises:
        ExportError: as `export_checkpoint`, or there is no checkpoint at all in `store`.
    """
    checkpoints = sorted(store.glob("*/*.safetensors"))
    if not checkpoints:
        raise ExportError(f"{store}: no <model>/*.safetensors in it, so there is nothing to export")
    for file in checkpoints:
        due = weights_name(load_checkpoint(file).config)
        if file.name != due:
            raise ExportError(f"{file}: holds {due.partition('.')[0]}, so its name must be {due}; rename it")
    return [export_checkpoint(file, model=file.parent.name, store=store, report=report) for file in checkpoints]


def weights_name(config: NetworkConfig) -> str:
    """What a checkpoint is called in the store: x4.safetensors, or x2x3x4.safetensors where it has several scales."""
    return "".join(f"x{scale}" for scale in config.scales) + ".safetensors"


def _draft(checkpoint: Checkpoint, weights: Path, *, model: str, scale: int, pixels: Pixels, report: Report) -> Draft:
    """What computes the same faster is traced, and compared with the checkpoint's own network."""
    started = time.monotonic()
    config = checkpoint.config
    network = config.at_scale(checkpoint.network, scale)
    faster = rewritten(network)
    original, traced = (with_pixels(one, config=config, scale=scale, pixels=pixels) for one in (network, faster))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    facts = describe(checkpoint, model=model, scale=scale, pixels=pixels, weights=Weights(weights.name, digest))
    facts = facts.model_copy(update={"macs_per_lr_pixel": macs_per_lr_pixel(traced, facts)})
    proto = trace(traced, facts)
    derived = faster.state_dict().keys() - network.state_dict().keys()
    external = point_into(proto, weights, prefix=WRAPPED, derived=derived)
    draft = Draft(proto, facts, weights.with_name(f"x{scale}.onnx" if pixels == "uint8" else f"x{scale}.float32.onnx"))
    draft.save()
    onnx.checker.check_model(draft.path, full_check=True)
    parity = check_parity(Session.open(draft.path, device="cpu", threads=THREADS), original)
    report(
        f"{model} x{scale} {pixels}: {external} tensors in {weights.name}, graph of {draft.path.stat().st_size} bytes; "
        f"at most {parity.difference:.2g} grey levels from PyTorch, {parity.differing:.3%} of pixels a level off; "
        f"{_since(started)}"
    )
    return draft


def _measured_halo(draft: Draft, report: Report) -> int:
    started = time.monotonic()
    halo, facts = measure_halo(Session.open(draft.path, device="cpu", threads=THREADS)), draft.manifest
    report(f"{facts.model} x{facts.scale}: halo {halo} of {facts.halo_exact} measured in {_since(started)}")
    return halo


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`, so that moving out of it stays on one file system; gone afterwards.

    `folder` and its parent are made where they are missing, and removed again if nothing came to lie in them.
    """
    missing = [path for path in (folder, folder.parent) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as staging:
            yield Path(staging)
    finally:
        with suppress(OSError):  # not empty: the export has succeeded
            for path in missing:
                path.rmdir()


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"
