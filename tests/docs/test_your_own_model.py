"""docs/your-own-model.md: its commands, run one after the other in an empty folder, end in a picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from srserve_client import Client
from tests.conftest import REPOSITORY, Launch
from tests.service.pictures import as_file, pixels

PAGE = (REPOSITORY / "docs" / "your-own-model.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_worked_example_is_exported_checked_and_served(launch: Launch, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}

    def run(command: list[str]) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (network,) = blocks("python")
    run([sys.executable, "-W", "ignore", "-c", network])
    export, check, serve = (block.strip() for block in blocks("sh"))
    run([sys.executable, *export.split()[1:]])
    verdicts = [line.split(maxsplit=2)[:2] for line in run([sys.executable, *check.split()[1:]]).splitlines()]
    assert verdicts[:4] == [["right", name] for name in ("contract", "twin", "reach", "halo")]
    assert serve.startswith("SR_STORE=store python -m service\n")
    server = launch(store=tmp_path / "store")
    lr = np.asarray(Image.fromarray(pixels(8, 8)).resize((40, 40), Image.Resampling.BICUBIC))
    with Client(server.url) as client:
        sr = client.upscale(as_file(lr), model="sharper", scale=2)
        assert (client.model("sharper").licence, client.model("sharper").family) == ("MIT", "foreign")
    bicubic = np.asarray(Image.fromarray(lr).resize((80, 80), Image.Resampling.BICUBIC), np.int32)
    assert sr.array().shape == (80, 80, 3)
    assert 0 < np.abs(sr.array().astype(np.int32) - bicubic).mean() < 20
