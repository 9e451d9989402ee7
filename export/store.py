"""The way through an export, written once: checkpoint -> collapse -> trace -> point -> parity -> halo -> store.

    store/<model>/x<scale>.safetensors      the weights, copied as they are
    store/<model>/x<scale>.onnx             the graph with uint8 pixels
    store/<model>/x<scale>.float32.onnx     its twin with float32 pixels

All of it is made and proved in a staging folder first. A failure leaves the store as it was; a success
moves the files in one by one, weights first. Each move is atomic; between two of them a service that starts
finds a graph whose sha256 does not match, and says so instead of serving a mixture.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import onnx
from torch import nn

from export.collapse import DERIVED, collapsed
from export.describe import check_model_name, describe, write_manifest
from export.errors import ExportError
from export.external import point_into
from export.halo import measure_halo
from export.parity import check_parity
from export.trace import WRAPPED, Pixels, trace, with_pixels
from models.checkpoint import Checkpoint, load_checkpoint
from service.manifest import Manifest
from service.sessions import Session

PIXELS: tuple[Pixels, ...] = ("uint8", "float32")
THREADS = 0  # ONNX Runtime's own choice: as many as there are cores

Report = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """The files that one export has put into the store, and what was measured on them."""

    weights: Path
    graphs: tuple[Path, ...]
    halo: int
    halo_exact: int


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
    file: Path, *, model: str, store: Path, halo: int | None = None, report: Report = lambda line: None
) -> Exported:
    """Puts the checkpoint `file` and its two graphs into `store`, or changes nothing.

    `halo` is measured unless given; `report` receives one line per finished step.

    Raises:
        ExportError: tracing, parity or the halo failed, or the family is of a kind that is not exported yet.
        CheckpointError: `file` is not a checkpoint.
        StoreError: the session that serves refuses the graph.
    """
    check_model_name(model)
    checkpoint = load_checkpoint(file)
    scale = _only_scale(file, checkpoint)
    with _staging(store / model) as staging:
        weights = staging / f"x{scale}.safetensors"
        shutil.copyfile(file, weights)
        faster = collapsed(checkpoint.network)
        drafts = [_draft(checkpoint, faster, weights, model=model, pixels=pixels, report=report) for pixels in PIXELS]
        if halo is None:
            started = time.monotonic()
            halo = measure_halo(Session.open(drafts[1].path, device="cpu", threads=THREADS))
            exact = drafts[0].manifest.halo_exact
            report(f"{model} x{scale}: halo {halo} of {exact} measured in {_since(started)}")
        for draft in drafts:
            draft.save(halo=halo)
            Session.open(draft.path, device="cpu", threads=THREADS)  # what is published is what was opened
        published = [path.replace(store / model / path.name) for path in [weights, *(draft.path for draft in drafts)]]
    return Exported(published[0], tuple(published[1:]), halo, checkpoint.config.halo_exact)


def export_store(store: Path, *, report: Report = lambda line: None) -> list[Exported]:
    """Makes every graph of `store` again, from the checkpoints that are there, one checkpoint after the other.

    Raises:
        ExportError: as `export_checkpoint`, or there is no checkpoint at all in `store`.
    """
    checkpoints = sorted(store.glob("*/*.safetensors"))
    if not checkpoints:
        raise ExportError(f"{store}: no <model>/*.safetensors in it, so there is nothing to export")
    for file in checkpoints:
        scale = _only_scale(file, load_checkpoint(file))
        if file.name != f"x{scale}.safetensors":
            raise ExportError(f"{file}: holds x{scale}, so its name must be x{scale}.safetensors; rename it")
    return [export_checkpoint(file, model=file.parent.name, store=store, report=report) for file in checkpoints]


def _only_scale(file: Path, checkpoint: Checkpoint) -> int:
    config = checkpoint.config
    if config.input_kind != "rgb" or len(config.scales) != 1:
        raise ExportError(
            f"{file}: only RGB networks of one scale can be exported so far, not {config.family} "
            f"({config.input_kind}, scales {config.scales})"
        )
    return config.scales[0]


def _draft(
    checkpoint: Checkpoint, faster: nn.Module, weights: Path, *, model: str, pixels: Pixels, report: Report
) -> Draft:
    """`faster` is traced, and compared with the checkpoint's own network."""
    started = time.monotonic()
    scale, value_range = checkpoint.config.scales[0], checkpoint.config.value_range
    manifest = describe(
        checkpoint,
        model=model,
        scale=scale,
        pixels=pixels,
        weights=weights.name,
        weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
    )
    original, module = (
        with_pixels(network, value_range=value_range, pixels=pixels) for network in (checkpoint.network, faster)
    )
    proto = trace(module, pixels=pixels, scale=scale, name=f"{model}-x{scale}-{pixels}")
    external = point_into(proto, weights, prefix=WRAPPED, derived=DERIVED)
    suffix = ".onnx" if pixels == "uint8" else ".float32.onnx"
    draft = Draft(proto, manifest, weights.with_name(f"x{scale}{suffix}"))
    draft.save()
    onnx.checker.check_model(draft.path, full_check=True)
    parity = check_parity(Session.open(draft.path, device="cpu", threads=THREADS), original, pixels=pixels)
    report(
        f"{model} x{scale} {pixels}: {external} tensors in {weights.name}, graph of {draft.path.stat().st_size} bytes; "
        f"at most {parity.difference:.2g} grey levels from PyTorch, {parity.differing:.3%} of pixels a level off; "
        f"{_since(started)}"
    )
    return draft


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
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
