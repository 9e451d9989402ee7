"""What is committed in store/ is what `python -m export store` makes of the checkpoints there."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.numpy_helper import to_array

from export.collapse import DERIVED
from export.describe import tool_versions, write_manifest
from export.halo import measure_halo
from export.store import export_checkpoint
from service.manifest import parse_manifest, read_manifest
from service.sessions import Session

STORE = Path(__file__).resolve().parents[2] / "store"
CHECKPOINTS = sorted(STORE.glob("*/x*.safetensors"))


def derived_tensors(graph: Path) -> dict[str, np.ndarray]:
    proto = onnx.load(graph, load_external_data=False)
    return {tensor.name: to_array(tensor) for tensor in proto.graph.initializer if tensor.name in DERIVED}


def but_for_derived_tensors(graph: Path) -> bytes:
    """The graph as a machine with this one's versions of the tools would have written it, without derived tensors.

    Those come out of sums in float64, and another processor may round the last bit of a float32 differently.
    """
    proto = onnx.load(graph, load_external_data=False)
    for tensor in proto.graph.initializer:
        if tensor.name in DERIVED:
            tensor.ClearField("raw_data")
    facts = parse_manifest({entry.key: entry.value for entry in proto.metadata_props}, path=graph)
    write_manifest(proto, facts.model_copy(update={"exporter": tool_versions()}))
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def graphs_of(checkpoint: Path) -> dict[int, Path]:
    """By scale, the graphs for 8-bit pixels; x2x3x4.safetensors has three."""
    scales = [int(scale) for scale in checkpoint.stem.split("x")[1:]]
    return {scale: checkpoint.with_name(f"x{scale}.onnx") for scale in scales}


def test_every_graph_of_the_store_has_its_checkpoint_beside_it() -> None:
    graphs = {path for path in STORE.glob("*/*.onnx") if read_manifest(path).weights is not None}
    made = {
        graph.with_suffix(suffix)
        for path in CHECKPOINTS
        for graph in graphs_of(path).values()
        for suffix in (".onnx", ".float32.onnx")
    }
    assert graphs == made


def test_edsr_is_in_the_store() -> None:
    if not (STORE / "edsr").exists():
        pytest.skip("store/edsr is not trained yet")
    assert [path for path in CHECKPOINTS if path.parent.name == "edsr"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_committed_graph_is_what_export_makes_of_its_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    halos = {scale: read_manifest(graph).halo for scale, graph in graphs_of(checkpoint).items()}
    made = export_checkpoint(checkpoint, model=checkpoint.parent.name, store=tmp_path, halos=halos)
    assert made.weights.read_bytes() == checkpoint.read_bytes()
    for graph in made.graphs:
        committed = checkpoint.with_name(graph.name)
        assert but_for_derived_tensors(graph) == but_for_derived_tensors(committed), graph.name
        ours, theirs = derived_tensors(graph), derived_tensors(committed)
        for name, values in ours.items():
            np.testing.assert_allclose(values, theirs[name], rtol=0, atol=1e-7 * np.abs(values).max(), err_msg=name)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_committed_halo_is_what_export_measures(checkpoint: Path) -> None:
    for graph in graphs_of(checkpoint).values():
        session = Session.open(graph.with_suffix(".float32.onnx"), device="cpu", threads=0)
        assert measure_halo(session) == read_manifest(graph).halo
