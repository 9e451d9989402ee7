"""`python -m export check`: whether a graph is what its manifest says, and would be served well; what is wrong, if not.

    contract   names, types, sizes, weights, a first run: what the service checks when it starts
    twin       the uint8 graph is its float32 twin, rounded
    reach      nothing further away than halo_exact changes a pixel
    halo       tiles with `halo` of context show no seam of more than a grey level
    parity     the answers are those of the checkpoint beside it, where it is one of this project

All are run, so that all that is wrong is told at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.errors import ExportError
from export.halo import cores
from export.parity import check_parity
from export.pixels import with_pixels
from export.reach import measure_reach
from export.store import THREADS
from export.twins import twin_difference
from models.checkpoint import CheckpointError, load_checkpoint
from service.errors import ServiceError, StoreError
from service.manifest import Manifest
from service.sessions import Session

MAX_SEAM = 1.0  # grey levels: what `halo` promises


@dataclass(frozen=True)
class Finding:
    """What one check came to. `verdict` "left out": it could not be made, and `text` says why."""

    check: str
    verdict: Literal["right", "wrong", "left out"]
    text: str


class _LeftOut(Exception):
    """A check does not apply."""


def check_graph(path: Path) -> Iterator[Finding]:
    """Every finding about the graph at `path`, the uint8 one of a pair, as they come; the first may be the last."""
    opened: list[Session] = []
    yield _finding("contract", lambda: _contract(path, opened))
    if not opened:
        return
    served, twin = opened[0], opened[1] if len(opened) > 1 else None
    yield _finding("twin", lambda: _twin(served, twin))
    yield _finding("reach", lambda: _reach(served.manifest, twin))
    yield _finding("halo", lambda: _halo(served.manifest, twin))
    yield _finding("parity", lambda: _parity(served))


def _finding(check: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "right", run())
    except _LeftOut as reason:
        return Finding(check, "left out", str(reason))
    except (ExportError, CheckpointError, StoreError, ServiceError, OSError) as error:
        return Finding(check, "wrong", str(error))


def _contract(path: Path, opened: list[Session]) -> str:
    session = Session.open(path, device="cpu", threads=THREADS)
    facts = session.manifest
    _check_name(path, facts)
    session.warm_up()
    opened.append(session)
    twin = path.with_name(f"x{facts.scale}.float32.onnx")
    if twin.exists():
        exact = Session.open(twin, device="cpu", threads=THREADS)
        exact.warm_up()
        opened.append(exact)
    return f"{facts.model} x{facts.scale}, {facts.input}, {facts.parameters} parameters, {facts.licence}"


def _check_name(path: Path, facts: Manifest) -> None:
    due = Path(facts.model, f"x{facts.scale}.onnx")
    if facts.pixels != "uint8":
        raise StoreError(f"{path}: has {facts.pixels} pixels. Cure: check x{facts.scale}.onnx, whose twin it is.")
    if Path(path.resolve().parent.name, path.name) != due:
        raise StoreError(f"{path}: its manifest says {due}. Cure: put it there, or export it again.")


def _twin(served: Session, twin: Session | None) -> str:
    exact = _needed(twin)
    if served.manifest.direction == "down" or served.manifest.input == "frames":
        raise _LeftOut("checked for networks of one picture only")
    return f"at most {max(0.0, twin_difference(served, exact)):.2g} grey levels beyond rounding"


def _reach(facts: Manifest, twin: Session | None) -> str:
    exact = _needed(twin)
    if facts.direction == "down" or facts.input == "frames" or facts.fixed_size is not None:
        raise _LeftOut("found by trying for networks of one picture of any size only")
    reach = measure_reach(exact.run, scale=facts.scale)
    if reach > facts.halo_exact:
        raise ExportError(f"a pixel depends on others {reach} pixels away, and halo_exact says {facts.halo_exact}")
    return f"{reach} pixels, of a halo_exact of {facts.halo_exact}"


def _halo(facts: Manifest, twin: Session | None) -> str:
    exact = _needed(twin)
    if facts.fixed_size is not None:
        raise _LeftOut("a network of one size is never tiled")
    seam = max(core.difference(facts.halo) for core in cores(exact))
    if seam > MAX_SEAM:
        raise ExportError(f"tiles with halo {facts.halo} are up to {seam:.2f} grey levels off; a larger one is needed")
    return f"{facts.halo} pixels: seams of at most {seam:.2g} grey levels"


def _parity(served: Session) -> str:
    facts = served.manifest
    if facts.weights is None:
        raise _LeftOut("the graph holds its weights itself, and there is no checkpoint to compare it with")
    checkpoint = load_checkpoint(served.path.with_name(facts.weights))
    network = checkpoint.config.at_scale(checkpoint.network, facts.scale)
    module = with_pixels(network, config=checkpoint.config, scale=facts.scale, pixels="uint8")
    parity = check_parity(served, module)
    return f"at most {parity.difference:.2g} grey levels from PyTorch, {parity.differing:.3%} of pixels a level off"


def _needed(twin: Session | None) -> Session:
    if twin is None:
        raise _LeftOut("there is no float32 twin, so nothing finer than a grey level can be seen")
    return twin
