"""`python -m export check` finds what is wrong with a graph, and nothing where it is right."""

import shutil
from pathlib import Path

import pytest

from export import reach
from export.__main__ import main
from export.check import check_graph
from export.store import export_checkpoint
from models.checkpoint import save_checkpoint
from tests import oracles
from tests.export.examples import small_config, small_edsr


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "LONGEST_REACH", 24)


def verdicts(path: Path) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in check_graph(path)}


def blur(store: Path, **changes: int) -> Path:
    """The blur of radius 5 and its twin, with facts that may be wrong."""
    for pixels in ("float32", "uint8"):
        proto = oracles.blur_graph(2, 5, pixels)
        facts = oracles.get_manifest(proto).model_copy(update=changes)
        path = oracles.save_graph(store, "blur", 2, oracles.set_manifest(proto, facts))
    return path


def test_an_export_of_this_project_is_right_in_everything(tmp_path: Path) -> None:
    config = small_config(2, blocks=1)
    file = tmp_path / "checkpoint.safetensors"
    save_checkpoint(file, small_edsr(config), config=config, provenance={"licence": "MIT"})
    exported = export_checkpoint(file, model="small", store=tmp_path / "store")
    assert verdicts(exported.graphs[0]) == dict.fromkeys(["contract", "twin", "reach", "halo", "parity"], "right")


def test_a_halo_that_is_too_small_is_found(tmp_path: Path) -> None:
    found = verdicts(blur(tmp_path, halo=1))
    assert (found["reach"], found["halo"]) == ("right", "wrong")


def test_a_receptive_radius_that_is_understated_is_found(tmp_path: Path) -> None:
    findings = {finding.check: finding for finding in check_graph(blur(tmp_path, halo=4, halo_exact=4))}
    assert findings["reach"].verdict == "wrong"
    assert "5 pixels away, and halo_exact says 4" in findings["reach"].text


def test_a_twin_that_computes_something_else_is_found(tmp_path: Path) -> None:
    path = blur(tmp_path)
    other = oracles.nearest_graph(2, "float32")
    facts = oracles.get_manifest(oracles.blur_graph(2, 5, "float32"))
    oracles.save_graph(tmp_path, "blur", 2, oracles.set_manifest(other, facts))
    assert verdicts(path)["twin"] == "wrong"


def test_without_a_twin_what_needs_it_is_left_out(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "blur", 2, oracles.blur_graph(2))
    assert verdicts(path) == {
        "contract": "right",
        "twin": "left out",
        "reach": "left out",
        "halo": "left out",
        "parity": "left out",
    }


def test_a_graph_that_is_none_or_lies_elsewhere_breaks_the_contract(tmp_path: Path) -> None:
    path = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2))
    elsewhere = tmp_path / "other" / "x2.onnx"
    elsewhere.parent.mkdir()
    shutil.copy(path, elsewhere)
    assert verdicts(elsewhere) == {"contract": "wrong"}
    elsewhere.write_bytes(b"no graph")
    assert verdicts(elsewhere) == {"contract": "wrong"}
    twin = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2, "float32"))
    (finding,) = check_graph(twin)
    assert "check x2.onnx" in finding.text


def test_the_command_tells_each_and_fails_if_one_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(blur(tmp_path, halo=1))]) == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["right", "wrong", "right", "wrong", "left"]
    assert printed.err.endswith("x2.onnx is not what it must be\n")
    for pixels in ("float32", "uint8"):
        path = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2, pixels))
    assert main(["check", str(path)]) == 0
