"""Runs a few lines in a process of their own, where the peak of memory is theirs alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# VmHWM and not ru_maxrss: the latter begins at the parent's size.
PRELUDE = """
import io, json, sys, time
import numpy as np
from service.codecs import *
from service.errors import ServiceError

def status(field):
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1])

def bytes_above(work):
    "The peak while `work` runs, above what was held before."
    open("/proc/self/clear_refs", "w").write("5")  # the peak is the present from here on
    before = status("VmRSS")
    work()
    return status("VmHWM") - before

def answer(value):
    print(json.dumps(value))
"""


def run_alone(code: str, *arguments: object, stdin: bytes = b"") -> Any:  # noqa: ANN401 - whatever `code` answers
    """What `code` gave to `answer`, as JSON brings it here; `arguments` are its sys.argv[1:]."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is read from Linux's /proc")
    command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)
