"""`python -m benchmarks.cards`: README's table of models and the cards in docs/models/, from what `GET /models` says.

What was trained how comes from the headers of the weights, what was published from published.toml. With `--check`
nothing is written, and the exit code is 1 where a file is not current.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks.serving import service

REPOSITORY = Path(__file__).resolve().parents[1]
STORE = REPOSITORY / "store"
BEGIN, END = "<!-- models: python -m benchmarks.cards -->", "<!-- /models -->"
SETS = ("Set5", "Set14", "BSD100")
HISTORY_ROWS = 12

Json = dict[str, Any]


def read_published() -> Json:
    """published.toml."""
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text())


def readme_table(models: list[Json], published: Json) -> str:
    """One row a model and scale, in Markdown."""
    lines = [
        "| model | scale | Set5 | Set14 | BSD100 | parameters | MACs per LR pixel |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in models:
        for index, graph in enumerate(model["graphs"]):
            name = f"[`{model['name']}`](docs/models/{model['name']}.md)" if index == 0 else ""
            cells = [comparison(graph, name_of_set, model["name"], published) for name_of_set in SETS]
            size = f"{graph['parameters'] / 1e6:.3g} M"
            lines.append(
                f"| {name} | x{graph['scale']} | {' | '.join(cells)} | {size} | {graph['macs_per_lr_pixel']:,} |"
            )
    return "\n".join(lines)


def comparison(graph: Json, name_of_set: str, model: str, published: Json) -> str:
    """`bicubic → measured (published)`, as much of it as there is."""
    measured = graph["psnr"].get(name_of_set)
    if measured is None:
        return ""
    scale = f"x{graph['scale']}"
    bicubic = published["bicubic"][scale][name_of_set]
    known = published["models"].get(model, {}).get("published", {}).get(scale, {}).get(name_of_set)
    return f"{bicubic:.2f} → {measured:.2f}" + (f" ({known:.2f})" if known else "")


def with_table(readme: str, table: str) -> str:
    """The text with what stands between the two marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def card(model: Json, provenances: dict[str, Json], published: Json) -> str:
    """A model's page: what it is for, what was measured, and how each weights file came about."""
    known = published["models"].get(model["name"], {})
    parts = [
        f"# {model['name']}\n\nMade by `python -m benchmarks.cards` from the store; do not edit.",
        f"{known.get('title', model['family'])}.\n\n**For**: {known.get('use', 'not stated')}\n\n"
        f"**Paper**: {model['paper']}\n\n**Licence of the weights**: {model['licence']}",
        _measured(model, published),
        *(_trained(weights, record) for weights, record in provenances.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _measured(model: Json, published: Json) -> str:
    lines = [
        "## Measured\nPSNR in dB on Y; bicubic → this model (published).\n",
        "| scale | " + " | ".join(SETS) + " | others | parameters | MACs per LR pixel | halo (exact) | weights |",
        "|---" * (len(SETS) + 6) + "|",
    ]
    for graph in model["graphs"]:
        others = ", ".join(f"{name} {psnr:.2f}" for name, psnr in graph["psnr"].items() if name not in SETS)
        cells = [comparison(graph, name, model["name"], published) for name in SETS]
        lines.append(
            f"| x{graph['scale']} | {' | '.join(cells)} | {others} | {graph['parameters']:,} | "
            f"{graph['macs_per_lr_pixel']:,} | {graph['halo']} ({graph['halo_exact']}) | "
            f"`{graph['weights']}` {graph['version']} |"
        )
    origin = published["models"].get(model["name"], {}).get("published", {}).get("from")
    return "\n".join(lines) + (f"\n\nPublished: {origin}." if origin else "")


def _trained(weights: str, record: Json) -> str:
    recipe = record["recipe"]
    sources = "\n".join(f"- {source['name']}: {source['licence']}" for source in record["sources"])
    if not isinstance(recipe, dict):  # published weights, which say no more
        return f"## {weights}\nImported.\n\nData:\n\n{sources}"
    settings = "\n".join(
        f"- `{name}`: {json.dumps(value)}" for name, value in recipe.items() if value not in (None, "none", False)
    )
    parent = record.get("start_from")
    started = f", started from weights {parent['sha256'][:12]}" if parent else ""
    return (
        f"## {weights}\n{record['steps']:,} steps in {record['seconds'] / 60:.0f} minutes on {record['device']}"
        f"{started}; seed {record['seed']}, code at {record['commit']}.\n\n{settings}\n\n"
        f"Data:\n\n{sources}\n\n{_curve(record['history'])}"
    )


def _curve(history: list[Json]) -> str:
    """The learning curve as a table, thinned out, the last row kept."""
    if not history:
        return "No learning curve was kept."
    rows = history[:: -max(1, len(history) // HISTORY_ROWS)][::-1]
    columns = ["step", "loss", *(name for name in rows[-1] if name not in ("step", "loss", "seconds"))]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(_figure(name, row.get(name)) for name in columns) + " |" for row in rows]
    return "\n".join(lines)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if name == "step" else f"{value:.4g}"


def provenances(store: Path, model: Json) -> dict[str, Json]:
    """The header's provenance of every weights file of a model, by file name, in the order of the scales."""
    names = dict.fromkeys(graph["weights"] for graph in model["graphs"] if graph["weights"])
    found = {}
    for name in names:
        with safe_open(store / model["name"] / name, framework="np") as file:
            found[name] = json.loads(file.metadata()["provenance"])
    return found


def pages(models: list[Json], *, readme: str, store: Path) -> dict[str, str]:
    """Every generated text by its path in the repository; `readme` is README.md as it stands."""
    published = read_published()
    made = {"README.md": with_table(readme, readme_table(models, published))}
    for model in models:
        made[f"docs/models/{model['name']}.md"] = card(model, provenances(store, model), published)
    return made


def main() -> int:
    """Writes the pages, or checks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is not current")
    arguments = parser.parse_args()
    with service(device="cpu") as client:
        models = client.get("/models").raise_for_status().json()
    outdated = []
    for name, text in pages(models, readme=(REPOSITORY / "README.md").read_text(), store=STORE).items():
        path = REPOSITORY / name
        if not path.exists() or path.read_text() != text:
            outdated.append(name)
            if not arguments.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for name in outdated:
        print(name, "is not current" if arguments.check else "written")
    return 1 if arguments.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
