"""The command's parts under one name."""

from typing import Annotated

import typer

from srserve_client.cli import installed
from srserve_client.cli.estimate import estimate
from srserve_client.cli.models import models
from srserve_client.cli.upscale import upscale
from srserve_client.cli.video import video
from srserve_client.version import __version__

app = typer.Typer(
    help="Super-resolution over HTTP. The service's address is --base-url, SR_BASE_URL or http://127.0.0.1:8000.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(upscale)
app.command()(video)
app.command()(models)
app.command()(estimate)
for command in (installed.serve, installed.export, installed.check, installed.keys):
    app.command(context_settings=installed.PASSED_ON, rich_help_panel="Where the service is installed")(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"srserve-client {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""
