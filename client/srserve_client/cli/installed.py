"""srserve serve, export, keys: the service's own commands, where it is installed beside this client."""

import importlib.util
import os
import sys

import typer

from srserve_client.cli import exits

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def serve(context: typer.Context) -> None:
    """Serve: python -m service. `srserve serve --help` lists every setting."""
    _become("service", context.args)


def export(context: typer.Context) -> None:
    """Export checkpoints to the model store: python -m export."""
    _become("export", context.args)


def check(context: typer.Context) -> None:
    """Say what is wrong with a graph of the store, if anything: python -m export check model/x4.onnx."""
    _become("export", ["check", *context.args])


def keys(context: typer.Context) -> None:
    """Make, list and revoke API keys: python -m service.keys."""
    _become("service.keys", context.args)


def _become(module: str, arguments: list[str]) -> None:
    """Replace this process, so that signals and the exit status are the service's own."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        exits.console.print(
            f"This command is the service's, which is not installed in this environment ({sys.prefix}).", style="red"
        )
        raise typer.Exit(exits.WRONG_USE)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
