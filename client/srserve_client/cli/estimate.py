"""srserve estimate: what pictures would take, and whether the service would take them, without sending them."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from srserve_client.calls import UpscaleOptions
from srserve_client.cli import exits
from srserve_client.cli.connection import TIMEOUT_S, ApiKey, AsJson, BaseUrl, Connection, Timeout
from srserve_client.cli.progress import print_json
from srserve_client.cli.upscale import Ensemble, Height, ModelName, Scale, TheTiling, Width
from srserve_client.results import Estimate

Pictures = Annotated[list[Path], typer.Argument(help="Pictures; of each, only the beginning is sent.")]


def estimate(
    pictures: Pictures,
    model: ModelName,
    scale: Scale = None,
    width: Width = None,
    height: Height = None,
    tiling: TheTiling = None,
    ensemble: Ensemble = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Say what pictures would take: seconds, memory, the answer's size. Status 1 when one would be refused."""
    options: UpscaleOptions = {
        "model": model,
        "scale": scale,
        "width": width,
        "height": height,
        "tiling": tiling,
        "ensemble": ensemble or None,
    }
    with exits.ending(base_url):
        found = asyncio.run(_ask(Connection(base_url, api_key, timeout), pictures, options))
    if as_json:
        for path, made in found:
            print_json({"input": str(path), **made.raw})
    else:
        Console().print(_table(found))
    raise typer.Exit(exits.DONE if all(made.accepted for _, made in found) else exits.FAILED)


async def _ask(connection: Connection, pictures: list[Path], options: UpscaleOptions) -> list[tuple[Path, Estimate]]:
    async with connection.client() as client:
        return [(path, await client.estimate(path, **options)) for path in pictures]


def _table(found: list[tuple[Path, Estimate]]) -> Table:
    table = Table("picture", "answer", "tiles", "seconds", "of that waiting", "memory", "")
    for path, made in found:
        seconds = made.seconds or {}
        table.add_row(
            str(path),
            f"{made.width} x {made.height}" if made.width else "",
            str(made.tiles or ""),
            f"{seconds['total']:.2f}" if seconds else "",
            f"{seconds['queue']:.2f}" if seconds else "",
            f"{made.peak_bytes / 2**20:.0f} MiB" if made.peak_bytes else "",
            "" if made.problem is None else f"refused: {made.problem.detail} ({made.problem.code})",
        )
    return table
