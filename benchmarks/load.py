"""`python -m benchmarks.load`: 64 clients of mixed sizes and one 24-megapixel picture, against one service.

What is reported, in ratios, for the machine may be noisy:
- heavy: clients that ask again at once. Their times with the large picture in flight over those without it.
- light: clients that pause, so that they use the device by `--utilisation`. Their times with the large picture in
  flight over those of a client that is alone.
Every answer is held to the one that was given alone, byte for byte; the service's memory must stay within its setting;
every client must be answered; and predictions, read from the service's log, are held to what came of them.

The network is made for this (benchmarks/made.py), so that the large picture's answer is known as well.
"""

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain
from pathlib import Path

import httpx2
import numpy as np
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from PIL import Image

from benchmarks.clients import Answered, LoadClient, all_at_once
from benchmarks.made import MADE, SCALE, make_store
from benchmarks.serving import Running, started

SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
LARGE = (6000, 4000)
TOLERANCE = 0.3  # of a prediction, up or down
PATH = f"/upscale?model={MADE}&scale={SCALE}&format=jpeg"  # whose encoder costs little: this is about the scheduler
MIB = 2**20


def noise(width: int, height: int, *, seed: int, kind: str = "PNG") -> bytes:
    """The file of smooth noise, another for each seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rough).resize((width, height), Image.Resampling.BILINEAR).save(
        file, kind, compress_level=1, quality=90
    )
    return file.getvalue()


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


@asynccontextmanager
async def large_picture(http: httpx2.AsyncClient) -> AsyncIterator["asyncio.Task[httpx2.Response]"]:
    """The large picture in flight while the block runs; it is given up after it."""
    task = asyncio.create_task(http.post(PATH, content=noise(*LARGE, seed=999, kind="JPEG")))
    await asyncio.sleep(3)
    if task.done():
        raise RuntimeError(f"the large picture was answered at once: {task.result().text}")
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Memory:
    """The most that the service has had resident, above what it had at first."""

    def __init__(self, running: Running) -> None:
        self._process = psutil.Process(running.pid)
        self.base = self._process.memory_info().rss
        self.peak = self.base

    async def watch(self) -> None:
        """Looks ten times a second, for ever."""
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss)
            await asyncio.sleep(0.1)


class Report:
    """Collects what was seen and prints it; `failures` are the promises that were not kept."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def expect(self, kept: bool, what: str) -> None:
        """Notes a promise that was not kept."""
        print(f"{'kept' if kept else 'NOT KEPT'}: {what}", flush=True)
        if not kept:
            self.failures.append(what)

    def answers(self, name: str, clients: Sequence[LoadClient], answered: Sequence[Answered]) -> None:
        """What is promised of every load."""
        requests = sum(len(each.seconds) for each in answered)
        print(f"{name}: {requests} requests answered, {sum(each.refused for each in answered)} refused for now")
        self.expect(not sum(each.wrong for each in answered), f"{name}: no wrong pixel")
        starved = [
            client.side for client, each in zip(clients, answered, strict=True) if each.asked and not each.seconds
        ]
        self.expect(not starved, f"{name}: whoever asked was answered (starved: {starved})")

    def predictions(self, name: str, log: Path, *, skip: int) -> None:
        """Predicted over real seconds of the requests in the log after the first `skip`."""
        ratios = predictions(log, skip=skip)
        good = sum(abs(ratio - 1) <= TOLERANCE for ratio in ratios) / len(ratios)
        tenths = ", ".join(f"{quantile(ratios, share):.2f}" for share in (0.05, 0.25, 0.5, 0.75, 0.95))
        print(f"{name}: predicted over real: {tenths} (at 5, 25, 50, 75, 95 %)")
        self.expect(good >= 0.9, f"{name}: {100 * good:.0f} % predicted within {100 * TOLERANCE:.0f} %, at least 90 %")


def by_side(
    clients: Sequence[LoadClient], answered: Sequence[Answered], *, over: Sequence[float] | None = None
) -> dict[int, list[float]]:
    """Seconds by the pictures' sides, or ratios to each client's own number in `over`."""
    found: dict[int, list[float]] = defaultdict(list)
    for index, (client, each) in enumerate(zip(clients, answered, strict=True)):
        found[client.side] += [seconds / (over[index] if over else 1.0) for seconds in each.seconds]
    return dict(sorted(found.items()))


def predictions(log: Path, *, skip: int) -> list[float]:
    """Predicted over real seconds of the requests in the log after the first `skip`."""
    ratios = []
    for line in log.read_text().splitlines()[skip:]:
        entry = json.loads(line)
        if entry.get("event") == "request" and entry.get("status") == 200 and "taken_s" in entry:
            ratios.append(entry["predicted_s"] / entry["taken_s"])
    return ratios


async def measure(running: Running, arguments: argparse.Namespace) -> list[str]:
    """Runs all loads and prints what came of them; the promises that were not kept."""
    report = Report()
    clients = [
        LoadClient(SIDES[index % len(SIDES)], noise(side := SIDES[index % len(SIDES)], side, seed=index))
        for index in range(arguments.clients)
    ]
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=running.url, timeout=3600, limits=limits) as http:
        await _warm(http)
        for client in clients:
            await client.ask_alone(http, PATH, times=3)
        memory = Memory(running)
        watching = asyncio.create_task(memory.watch())
        await _heavy(report, http, clients, running, arguments)
        await _light(report, http, clients, running, arguments)
        watching.cancel()
    growth = (memory.peak - memory.base) / MIB
    report.expect(
        growth * MIB <= arguments.memory_mib * MIB,
        f"memory: {growth:.0f} MiB above the {memory.base / MIB:.0f} of the warm service, of {arguments.memory_mib}",
    )
    return report.failures


async def _warm(http: httpx2.AsyncClient) -> None:
    """The largest tiles, on all cores, so that the arena is as large as it becomes."""
    await asyncio.gather(*(http.post(PATH, content=noise(1024, 1024, seed=seed)) for seed in range(4)))


async def _heavy(
    report: Report,
    http: httpx2.AsyncClient,
    clients: Sequence[LoadClient],
    running: Running,
    arguments: argparse.Namespace,
) -> None:
    assert running.log is not None
    without = await all_at_once(clients, http, PATH, seconds=arguments.seconds, pause_s=0)
    report.answers("heavy, without the large picture", clients, without)
    skip = len(running.log.read_text().splitlines())
    answered = await _beside_the_large(report, http, clients, "heavy, with it", seconds=arguments.seconds, pause_s=0)
    before, after = by_side(clients, without), by_side(clients, answered)
    print("| side | alone s | p95 without s | p95 with s | ratio |\n|---|---|---|---|---|")
    for side in before:
        alone = np.median([client.alone_s for client in clients if client.side == side])
        first, second = quantile(before[side], 0.95), quantile(after[side], 0.95)
        print(f"| {side} | {alone:.3f} | {first:.2f} | {second:.2f} | {second / first:.2f} |")
    first, second = (quantile(list(chain(*seconds.values())), 0.95) for seconds in (before, after))
    ratio = second / first
    report.expect(ratio <= 3, f"heavy: the 95th percentile rises {ratio:.2f} times by the large picture, at most 3")
    report.predictions("heavy", running.log, skip=skip)


async def _beside_the_large(
    report: Report,
    http: httpx2.AsyncClient,
    clients: Sequence[LoadClient],
    what: str,
    *,
    seconds: float,
    pause_s: float,
) -> list[Answered]:
    """The clients' answers while the large picture is in flight."""
    async with large_picture(http) as large:
        answered = await all_at_once(clients, http, PATH, seconds=seconds, pause_s=pause_s)
        report.answers(what, clients, answered)
        report.expect(not large.done(), "the large picture was in flight all the time")
    return answered


async def _light(
    report: Report,
    http: httpx2.AsyncClient,
    clients: Sequence[LoadClient],
    running: Running,
    arguments: argparse.Namespace,
) -> None:
    assert running.log is not None
    skip = len(running.log.read_text().splitlines())
    alone = [client.alone_s for client in clients]
    pause_s = sum(alone) / arguments.utilisation
    # Each client asks once in about so long; all of them together then use the device as much as is wanted.
    seconds = max(arguments.seconds, 2 * pause_s)
    what = "light, with the large picture"
    answered = await _beside_the_large(report, http, clients, what, seconds=seconds, pause_s=pause_s)
    report.predictions("light", running.log, skip=skip)
    ratios = by_side(clients, answered, over=alone)
    print("| side | requests | median over alone | p95 over alone |\n|---|---|---|---|")
    for side, values in ratios.items():
        if not values:
            continue
        print(f"| {side} | {len(values)} | {quantile(values, 0.5):.2f} | {quantile(values, 0.95):.2f} |")
    p95 = quantile(list(chain(*ratios.values())), 0.95)
    report.expect(p95 <= 3, f"light: the 95th percentile is {p95:.2f} times the time alone, at most 3")


def main(given: Sequence[str] | None = None) -> int:
    """Prints the tables; returns 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--utilisation", type=float, default=0.3, help="of the device, by the light load")
    parser.add_argument("--layers", type=int, default=1, help="of work in the made network")
    parser.add_argument("--memory-mib", type=int, default=2048, help="SR_MAX_MEMORY_BYTES of the service")
    parser.add_argument("--log", type=Path, help="where to keep the service's log")
    arguments = parser.parse_args(given)
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder / "store", layers=arguments.layers)
        settings = {
            "store": str(folder / "store"),
            "max_requests": str(arguments.clients + 8),
            "max_memory_bytes": str(arguments.memory_mib * MIB),
            "jobs": str(folder / "jobs"),
            "deadline_s": "3600",  # nobody is refused for time: this is about those who wait
            "max_queue_s": "3600",
        }
        with started(settings, log=arguments.log or folder / "log") as running:
            failures = asyncio.run(measure(running, arguments))
    print(f"{time.monotonic() - started_at:.0f} s; {len(failures)} promises were not kept")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
