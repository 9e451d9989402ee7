"""The command `srserve`."""

import sys


def main() -> None:
    """Run it; exits with its status. Says what to install where typer and rich are not there."""
    try:
        from srserve_client.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(f"srserve needs {error.name}: pip install 'srserve-client[cli]'")
    app(prog_name="srserve")
