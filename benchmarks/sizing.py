"""`python -m benchmarks.sizing`: what each model of the store asks of this machine, through HTTP (docs/operations.md).

LR pixels per second of one photograph at a time, decoding and encoding included, the best of rounds in which all models
take turns; and the most memory that a process of its own ever held that served this photograph to that model, once.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from PIL import Image

from benchmarks.serving import service
from benchmarks.speed import http_seconds, photograph


class Served(NamedTuple):
    """One graph."""

    model: str
    scale: int


def main(arguments: list[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--size", default="1280x720", help="LR width x height")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    width, height = map(int, chosen.size.split("x"))
    body = _file(width, height)
    with service(log_level="error") as client:
        models = [model for model in client.get("/models").json() if model["endpoint"] == "/upscale"]
        graphs = [Served(model["name"], scale) for model in models for scale in model["scales"]]
        macs = {
            Served(model["name"], graph["scale"]): graph["macs_per_lr_pixel"]
            for model in models
            for graph in model["graphs"]
        }
        taken: dict[Served, list[float]] = {graph: [] for graph in graphs}
        for _ in range(chosen.rounds):
            for graph in graphs:
                taken[graph].append(http_seconds(client, body, model=graph.model, scale=graph.scale)[0])
    print(f"| model | MACs per LR pixel | LR pixels per second | {chosen.size} in | memory of the process, at most |")
    print("|---|---|---|---|---|")
    for graph in graphs:
        seconds = min(taken[graph])
        print(
            f"| `{graph.model}` x{graph.scale} | {macs[graph]:,} | {width * height / seconds:,.0f} | {seconds:.1f} s "
            f"| {_peak_bytes(graph, body) / 1e6:,.0f} MB |",
            flush=True,
        )
    return 0


def _file(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photograph(width, height)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _peak_bytes(graph: Served, body: bytes) -> int:
    """Of a process that has served that one picture; on Linux only."""
    before = set(psutil.Process().children())
    with service(log_level="error") as client:
        (process,) = set(psutil.Process().children()) - before
        http_seconds(client, body, model=graph.model, scale=graph.scale)
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
