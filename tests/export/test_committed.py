"""What is committed in store/ is what `python -m export store` makes of the checkpoints there."""

from pathlib import Path

import onnx
import pytest

from export.describe import tool_versions, write_manifest
from export.halo import measure_halo
from export.store import export_checkpoint
from service.manifest import Manifest, parse_manifest, read_manifest
from service.sessions import Session

STORE = Path(__file__).resolve().parents[2] / "store"
CHECKPOINTS = sorted(STORE.glob("*/x*.safetensors"))


def with_todays_versions(graph: Path) -> bytes:
    """The committed graph, as a machine with this one's versions of the tools would have written it."""
    proto = onnx.load(graph, load_external_data=False)
    facts = parse_manifest({entry.key: entry.value for entry in proto.metadata_props}, path=graph)
    write_manifest(proto, facts.model_copy(update={"exporter": tool_versions()}))
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def manifest_beside(checkpoint: Path) -> Manifest:
    return read_manifest(checkpoint.with_suffix(".onnx"))


def test_every_graph_of_the_store_has_its_checkpoint_beside_it() -> None:
    graphs = {path for path in STORE.glob("*/*.onnx") if read_manifest(path).weights is not None}
    made = {path.with_suffix(suffix) for path in CHECKPOINTS for suffix in (".onnx", ".float32.onnx")}
    assert graphs == made


def test_edsr_is_in_the_store() -> None:
    if not (STORE / "edsr").exists():
        pytest.skip("store/edsr is not trained yet")
    assert [path for path in CHECKPOINTS if path.parent.name == "edsr"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_committed_graph_is_what_export_makes_of_its_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    halo = manifest_beside(checkpoint).halo
    made = export_checkpoint(checkpoint, model=checkpoint.parent.name, store=tmp_path, halo=halo)
    assert made.weights.read_bytes() == checkpoint.read_bytes()
    for graph in made.graphs:
        assert graph.read_bytes() == with_todays_versions(checkpoint.with_name(graph.name)), graph.name


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_committed_halo_is_what_export_measures(checkpoint: Path) -> None:
    session = Session.open(checkpoint.with_suffix(".float32.onnx"), device="cpu", threads=0)
    assert measure_halo(session) == manifest_beside(checkpoint).halo
