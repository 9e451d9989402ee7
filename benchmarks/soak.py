"""`python -m benchmarks.soak`: good requests with bad ones among them, for as long as asked (30 minutes).

Said at the end, and in the exit status: no fault, no crash, every good request answered 200, every bad one refused,
memory at the end within 5 % of that after the first fifth, good requests as quick among bad ones as among themselves.
For the latter, every minute begins with 20 s without bad ones: whatever else the machine does concerns both alike.
Good ones are of every kind (benchmarks/good_requests.py); plain pictures, the most of them, are those that are timed.
"""

import argparse
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bad_requests import BAD_REQUESTS, Target
from benchmarks.good_requests import GOOD_REQUESTS, WEIGHTS
from benchmarks.serving import free_port, service

CYCLE_S, CALM_S = 60.0, 20.0
SAMPLE_S = 10.0
GROWTH_LIMIT = 0.05
SLOWDOWN_LIMIT = 1.25  # of the median; the machine's own noise is a tenth or so
TIMED = "picture"


@dataclass
class Tally:
    """What came of all requests so far."""

    calm_s: list[float] = field(default_factory=list)
    mixed_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: str, *, expected: bool) -> None:
        """One request has ended."""
        with self.lock:
            self.outcomes[outcome] += 1
            if not expected:
                self.wrong[outcome] += 1


@dataclass(frozen=True)
class Memory:
    """Resident bytes over time; `starts` has one entry for each process that was seen."""

    samples: list[float]
    starts: set[float]

    @property
    def growth(self) -> float:
        """Of the last tenth over the tenth after the first fifth."""
        tenth = max(len(self.samples) // 10, 1)
        settled = self.samples[2 * tenth : 3 * tenth] or self.samples[:1]
        return float(np.mean(self.samples[-tenth:]) / np.mean(settled) - 1)


def main(arguments: list[str]) -> int:
    """The exit status: 1 if something of what is promised was not so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=5, help="requests per second, bad ones included")
    parser.add_argument("--bad", type=float, default=0.2, help="share of bad ones")
    parser.add_argument("--model", default="edsr")
    parser.add_argument("--scale", type=int, default=2)
    chosen = parser.parse_args(arguments)
    metrics_port = free_port()
    with service(metrics_port=str(metrics_port), body_timeout_s="5", log_level="error") as client:
        target = Target(client.base_url.host, client.base_url.port or 80, chosen.model, chosen.scale)
        tally, memory = soak(client, target, chosen, f"http://127.0.0.1:{metrics_port}/metrics")
    return report(tally, memory)


def soak(client: httpx2.Client, target: Target, chosen: argparse.Namespace, metrics: str) -> tuple[Tally, Memory]:
    """Sends at a steady rate, whether answers come or not; what came of it."""
    tally, memory = Tally(), Memory([], set())
    rng = random.Random(0)
    began = time.monotonic()
    end = began + 60 * chosen.minutes
    next_sample = began
    with ThreadPoolExecutor(64) as pool:
        while (now := time.monotonic()) < end:
            if now >= next_sample:
                pool.submit(sample, memory, metrics)
                next_sample += SAMPLE_S
            calm = (now - began) % CYCLE_S < CALM_S
            if rng.random() >= chosen.bad:
                pool.submit(send_good, client, target, tally, calm=calm, seed=rng.randrange(1 << 30))
            elif not calm:
                pool.submit(send_bad, target, tally, rng.randrange(1 << 30))
            time.sleep(rng.expovariate(chosen.rate))
    sample(memory, metrics)
    return tally, memory


def send_good(client: httpx2.Client, target: Target, tally: Tally, *, calm: bool, seed: int) -> None:
    """One good request, and how long it took if it was a plain picture."""
    rng = random.Random(seed)
    (name,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
    began = time.perf_counter()
    try:
        status = GOOD_REQUESTS[name](client, target, rng)
    except (
        httpx2.TransportError,
        KeyError,
        ValueError,
    ) as error:  # the latter two: an answer that is not as documented
        tally.note(f"good, {name}: {error!r}", expected=False)
        return
    if name == TIMED:
        with tally.lock:
            (tally.calm_s if calm else tally.mixed_s).append(time.perf_counter() - began)
    tally.note(f"good, {name}: {status}", expected=status == 200)


def send_bad(target: Target, tally: Tally, seed: int) -> None:
    """One bad request, which has to be refused, or to be given up by its sender."""
    name, send = list(BAD_REQUESTS.items())[seed % len(BAD_REQUESTS)]
    try:
        status = send(target)
    except (OSError, httpx2.TransportError) as error:
        tally.note(f"bad, {name}: {error!r}", expected=False)
        return
    tally.note(f"bad, {name}: {status or 'left'}", expected=status is None or 400 <= status < 500)


def sample(memory: Memory, metrics: str) -> None:
    """Reads the resident bytes, and when the process was started."""
    text = httpx2.get(metrics, timeout=60, trust_env=False).text
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    memory.samples.append(found["process_resident_memory_bytes"][0].value)
    memory.starts.add(found["process_start_time_seconds"][0].value)


def report(tally: Tally, memory: Memory) -> int:
    """Prints what came of it; the exit status."""
    calm, mixed = (1e3 * np.percentile(times, (50, 95)) for times in (tally.calm_s, tally.mixed_s))
    for outcome, count in sorted(tally.outcomes.items()):
        print(f"{count:7d}  {outcome}{'   <-- wrong' if outcome in tally.wrong else ''}")
    print(
        f"resident: {memory.samples[0] / 1e6:.0f} MB at first, {memory.samples[-1] / 1e6:.0f} MB at last, "
        f"growth after the first fifth {memory.growth:+.1%}, {len(memory.starts)} process(es)"
    )
    print(f"pictures without bad requests: median {calm[0]:.0f} ms, p95 {calm[1]:.0f} ms ({len(tally.calm_s)})")
    print(f"pictures among bad requests:   median {mixed[0]:.0f} ms, p95 {mixed[1]:.0f} ms ({len(tally.mixed_s)})")
    print(f"ratio:                         median {mixed[0] / calm[0]:.2f}, p95 {mixed[1] / calm[1]:.2f}")
    kept = {
        "no wrong answer": not tally.wrong,
        "one process": len(memory.starts) == 1,
        f"memory within {GROWTH_LIMIT:.0%}": memory.growth <= GROWTH_LIMIT,
        f"median within {SLOWDOWN_LIMIT}": bool(mixed[0] <= SLOWDOWN_LIMIT * calm[0]),
    }
    for promise, is_kept in kept.items():
        print(f"{'kept' if is_kept else 'BROKEN'}: {promise}")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
