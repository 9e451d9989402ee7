"""Running the command srserve: in this process for its words, in one of its own for signals and pipes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from srserve_client.cli.app import app
from tests.conftest import REPOSITORY


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON, a document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def srserve(*arguments: object, url: str | None = None) -> Ran:
    """The command with these arguments, in this process; `url` is the service's address."""
    environment = {} if url is None else {"SR_BASE_URL": url}
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="srserve", env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def process(*arguments: object, url: str, cwd: Path) -> "subprocess.Popen[bytes]":
    """The command in a process of its own, all three of its streams at hand."""
    environment = os.environ | {"SR_BASE_URL": url, "PYTHONPATH": str(REPOSITORY / "client"), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "srserve_client", *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What a shell starts in the background ignores SIGINT, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
