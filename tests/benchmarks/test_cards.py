"""README's table and the models' cards say what the store says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.cards import (
    BEGIN,
    END,
    REPOSITORY,
    STORE,
    card,
    comparison,
    pages,
    provenances,
    read_published,
    readme_table,
    with_table,
)
from benchmarks.serving import service

PUBLISHED = {
    "bicubic": {"x2": {"Set5": 33.67, "Set14": 30.23}},
    "models": {"edsr": {"title": "EDSR", "use": "Photographs.", "published": {"x2": {"Set5": 37.99}}}},
}
GRAPH = {
    "scale": 2,
    "psnr": {"Set5": 36.293, "Set14": 32.095, "clips": 30.5},
    "parameters": 1_369_859,
    "macs_per_lr_pixel": 1_237_440,
    "halo": 8,
    "halo_exact": 36,
    "weights": "x2.safetensors",
    "version": "59fdf3d7d769",
}
MODEL = {"name": "edsr", "family": "edsr", "paper": "Lim et al. 2017", "licence": "Apache-2.0", "graphs": [GRAPH]}
PROVENANCE: dict[str, Any] = {
    "recipe": {"name": "edsr_x2", "steps": 10, "compile": False},
    "steps": 10,
    "seconds": 120,
    "device": "cpu",
    "seed": 1,
    "commit": "0123456789ab",
    "sources": [{"name": "photographs", "licence": "CC0-1.0"}],
    "history": [{"Set5": 30.0, "step": 5.0, "loss": 4.0, "seconds": 60.0}, {"Set5": 31.0, "step": 10.0, "loss": 3.0}],
}


def test_the_committed_pages_are_what_the_store_makes() -> None:
    with service(device="cpu") as client:
        models = client.get("/models").raise_for_status().json()
    made = pages(models, readme=(REPOSITORY / "README.md").read_text(), store=STORE)
    committed = {name: (REPOSITORY / name).read_text() for name in made}
    assert committed == made, "run `python -m benchmarks.cards`"
    assert {Path(name).name for name in made} - {"README.md"} == {
        path.name for path in (REPOSITORY / "docs" / "models").glob("*.md")
    }, "a card of a model that is not served"


def test_every_served_model_has_its_title_in_the_published_table() -> None:
    served = {folder.name for folder in STORE.iterdir() if folder.is_dir()}
    assert served <= set(read_published()["models"])


def test_a_cell_has_bicubic_measured_and_published() -> None:
    assert comparison(GRAPH, "Set5", "edsr", PUBLISHED) == "33.67 → 36.29 (37.99)"


def test_a_cell_says_no_more_than_there_is() -> None:
    assert comparison(GRAPH, "Set14", "edsr", PUBLISHED) == "30.23 → 32.09"
    assert comparison(GRAPH, "BSD100", "edsr", PUBLISHED) == ""
    assert comparison(GRAPH, "Set5", "mine", PUBLISHED) == "33.67 → 36.29"


def test_a_row_names_its_model_once() -> None:
    graphs = [GRAPH, {**GRAPH, "psnr": {}}]
    rows = readme_table([{**MODEL, "graphs": graphs}], PUBLISHED).splitlines()[2:]
    assert [row.count("edsr") for row in rows] == [2, 0]
    assert rows[0].endswith("| 1.37 M | 1,237,440 |")


def test_the_table_takes_the_place_of_the_one_before() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter"
    assert with_table(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter"


@pytest.mark.parametrize("text", ["nothing", f"only {BEGIN}", f"only {END}"])
def test_a_readme_without_marks_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"README\.md has no"):
        with_table(text, "new")


def test_a_card_says_how_the_weights_came_about() -> None:
    text = card(MODEL, {"x2.safetensors": PROVENANCE}, PUBLISHED)
    assert "10 steps in 2 minutes on cpu; seed 1, code at 0123456789ab." in text
    assert "- photographs: CC0-1.0" in text
    assert "| step | loss | Set5 |\n|---|---|---|\n| 5 | 4 | 30 |\n| 10 | 3 | 31 |" in text
    assert "clips 30.50" in text
    assert "compile" not in text


def test_a_card_names_the_weights_that_a_run_started_from() -> None:
    record = {**PROVENANCE, "start_from": {"file": "x2.safetensors", "sha256": "ab" * 32}}
    assert "started from weights abababababab" in card(MODEL, {"x4.safetensors": record}, PUBLISHED)


def test_a_card_of_published_weights_says_that_they_were_imported() -> None:
    text = card(MODEL, {"x2.safetensors": {"recipe": "import", "sources": PROVENANCE["sources"]}}, PUBLISHED)
    assert "## x2.safetensors\nImported." in text


def test_a_long_learning_curve_is_thinned_out_to_its_end() -> None:
    history = [{"step": float(step), "loss": 1.0} for step in range(1, 101)]
    text = card(MODEL, {"x2.safetensors": {**PROVENANCE, "history": history}}, PUBLISHED)
    assert "| 100 | 1 |" in text
    assert text.count(" | 1 |") < 20


def test_several_graphs_of_one_file_have_one_provenance(tmp_path: Path) -> None:
    folder = tmp_path / "edsr"
    folder.mkdir()
    metadata = {"provenance": json.dumps(PROVENANCE)}
    save_file({"x": np.zeros(1, np.float32)}, folder / "x2.safetensors", metadata=metadata)
    assert provenances(tmp_path, {**MODEL, "graphs": [GRAPH, GRAPH]}) == {"x2.safetensors": PROVENANCE}
