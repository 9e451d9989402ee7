"""Ruff over a text that is about to be written, so that what is generated is formatted like what is not."""

import shutil
import subprocess
import sys
from pathlib import Path


def formatted(text: str, path: Path) -> str:
    """`text` with its imports sorted and formatted as the file at `path` would be; ruff's settings are the project's.

    Raises subprocess.CalledProcessError when ruff finds the text not to be Python.
    """
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    for command in (["check", "--select=I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [ruff, *command, f"--stdin-filename={path}", "-"], input=text, capture_output=True, check=True, text=True
        )
        text = done.stdout
    return text
