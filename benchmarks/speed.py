"""`python -m benchmarks.speed`: the time of `POST /upscale` over the time of the bare ONNX Runtime session.

Same pixels, same thread count, same run, interleaved; the best of the rounds of each, for the machine may be noisy.
Decode and encode, as measured by the service itself (Server-Timing), are subtracted and shown beside. An image that
the bare session cannot hold whole (`--whole-limit`, LR pixels) goes through it in the service's own tiles.
"""

import argparse
import io
import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image
from skimage.data import astronaut

from benchmarks.serving import REPOSITORY, service
from service.manifest import Manifest, read_manifest
from service.settings import Settings
from service.tiling import plan_tiles

SIZES = ("128x128", "512x512", "1920x1080")
Pixels = npt.NDArray[np.uint8]


class Measurement(NamedTuple):
    """Seconds, best of the rounds. `codec` is decode plus encode inside the service."""

    size: str
    scale: int
    bare: float
    tiled: bool
    http: float
    codec: float

    @property
    def ratio(self) -> float:
        """HTTP time without decode and encode, over the bare session's."""
        return (self.http - self.codec) / self.bare


def photograph(width: int, height: int) -> Pixels:
    """uint8 RGB [height, width, 3]: scikit-image's astronaut, mirrored until it fills the size."""
    picture: Pixels = astronaut()
    pad = ((0, max(0, height - 512)), (0, max(0, width - 512)), (0, 0))
    return np.ascontiguousarray(np.pad(picture, pad, mode="symmetric")[:height, :width])


def bare_seconds(session: onnxruntime.InferenceSession, batches: list[Pixels]) -> float:
    """Seconds of the session over all batches, one after the other."""
    began = time.perf_counter()
    for batch in batches:
        session.run(None, {"lr": batch})
    return time.perf_counter() - began


def http_seconds(client: httpx2.Client, body: bytes, *, model: str, scale: int) -> tuple[float, float]:
    """Seconds of one request as the client sees it, and those of decode plus encode in it."""
    began = time.perf_counter()
    answer = client.post("/upscale", params={"model": model, "scale": scale, "format": "png"}, content=body)
    seconds = time.perf_counter() - began
    answer.raise_for_status()
    stages = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    return seconds, (float(stages["decode"]) + float(stages["encode"])) / 1000


def measure(client: httpx2.Client, size: str, scale: int, arguments: argparse.Namespace) -> Measurement:
    """One size: warm-up, then rounds of one bare run and one request each."""
    width, height = map(int, size.split("x"))
    picture = photograph(width, height)
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "PNG", compress_level=1)
    path = arguments.store / arguments.model / f"x{scale}.onnx"
    tiled = width * height > arguments.whole_limit
    batches = _tiles(picture, read_manifest(path)) if tiled else [picture[None]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(path, options, providers=arguments.providers)
    bare_seconds(session, [np.ascontiguousarray(batches[0][:, :64, :64])])  # warm-up
    bare, http = [], []
    for _ in range(arguments.rounds):
        bare.append(bare_seconds(session, batches))
        http.append(http_seconds(client, body.getvalue(), model=arguments.model, scale=scale))
    best, codec = min(http, key=lambda pair: pair[0] - pair[1])
    return Measurement(size, scale, min(bare), tiled, best, codec)


def _tiles(picture: Pixels, manifest: Manifest) -> list[Pixels]:
    settings = Settings()
    plan = plan_tiles(*picture.shape[:2], halo=manifest.halo, max_tile=settings.max_tile)
    return [
        np.ascontiguousarray(picture[t.top : t.top + t.height, t.left : t.left + t.width][None]) for t in plan.tiles
    ]


def main() -> int:
    """Prints the table; returns 1 if a size of at least 512x512 is above `--limit`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--url", help="a running service on this machine; without it one is started")
    parser.add_argument("--model", default="edsr")
    parser.add_argument("--scale", type=int, action="append", dest="scales")
    parser.add_argument("--size", action="append", dest="sizes", help="LR width x height, such as 512x512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole-limit", type=int, default=3_000_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--providers", nargs="+", default=["CPUExecutionProvider"])
    parser.add_argument("--store", type=Path, default=REPOSITORY / "store")
    parser.add_argument("--limit", type=float, default=None, help="fail above this ratio")
    arguments = parser.parse_args()
    with service(arguments.url, threads=str(arguments.threads)) as client:
        print("| LR size | scale | bare session s | HTTP s | decode + encode s | (HTTP - codec) / bare |")
        print("|---|---|---|---|---|---|")
        worst = 0.0
        for scale in arguments.scales or [2, 4]:
            for size in arguments.sizes or SIZES:
                row = measure(client, size, scale, arguments)
                how = " (in tiles)" if row.tiled else ""
                print(
                    f"| {size} | x{scale} | {row.bare:.3f}{how} | {row.http:.3f} | {row.codec:.3f} | {row.ratio:.3f} |",
                    flush=True,
                )
                if size != SIZES[0]:
                    worst = max(worst, row.ratio)
    return int(arguments.limit is not None and worst > arguments.limit)


if __name__ == "__main__":
    sys.exit(main())
