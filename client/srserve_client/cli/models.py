"""srserve models: what is served, with its measured quality."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from srserve_client.cli import exits
from srserve_client.cli.completion import complete_model
from srserve_client.cli.connection import TIMEOUT_S, ApiKey, AsJson, BaseUrl, Connection, Timeout
from srserve_client.cli.progress import print_json
from srserve_client.results import Model

Name = Annotated[str | None, typer.Argument(help="One model; without it, all.", autocompletion=complete_model)]


def models(
    name: Name = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """List the models that are served: scales, PSNR in dB on Y as measured, device, licence."""
    with exits.ending(base_url):
        found = asyncio.run(_ask(Connection(base_url, api_key, timeout), name))
        if as_json:
            print_json([model.raw for model in found] if name is None else found[0].raw)
        else:
            Console().print(_table(found))


async def _ask(connection: Connection, name: str | None) -> list[Model]:
    async with connection.client() as client:
        return await client.models() if name is None else [await client.model(name)]


def _table(models: list[Model]) -> Table:
    sets = sorted({name for model in models for graph in model.graphs for name in graph.psnr})
    table = Table("model", "scale", *sets, "16 bits", "device", "licence")
    for model in models:
        for graph in model.graphs:
            scores = [f"{graph.psnr[name]:.2f}" if name in graph.psnr else "" for name in sets]
            scale = f"x{graph.scale}" if graph.direction == "up" else f"1/{graph.scale}"
            bits = "yes" if graph.sixteen_bit else "no"
            table.add_row(model.name, scale, *scores, bits, graph.device, model.licence)
    return table
