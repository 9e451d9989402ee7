"""What the soak sends: good requests are answered, bad ones refused, and what is promised is judged by both."""

import random
import shutil
from pathlib import Path

import pytest

from benchmarks.bad_requests import BAD_REQUESTS, Target
from benchmarks.good_requests import GOOD_REQUESTS, WEIGHTS
from benchmarks.soak import Memory, Tally, report
from tests.conftest import Launch, LiveServer

SLOW = {"trickles"}  # as long as the service waits for a body; tests/hostile has it


@pytest.fixture(scope="module")
def small_store(oracle_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model, three scales."""
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(oracle_store / "nearest", folder / "nearest")
    return folder


def target(server: LiveServer) -> Target:
    return Target("127.0.0.1", server.port, "nearest", 2)


def test_every_good_request_is_answered(launch: Launch, small_store: Path) -> None:
    server = launch(store=small_store)
    assert GOOD_REQUESTS.keys() == WEIGHTS.keys()
    with server.client() as client:
        statuses = {name: send(client, target(server), random.Random(1)) for name, send in GOOD_REQUESTS.items()}
    assert statuses == dict.fromkeys(GOOD_REQUESTS, 200)


@pytest.mark.parametrize("name", sorted(BAD_REQUESTS.keys() - SLOW))
def test_every_bad_request_is_refused_or_left(live_server: LiveServer, name: str) -> None:
    status = BAD_REQUESTS[name](target(live_server))
    assert status is None or 400 <= status < 500


def tally(*, calm_s: float = 0.1, mixed_s: float = 0.1, wrong: str | None = None) -> Tally:
    found = Tally([calm_s] * 10, [mixed_s] * 10)
    found.note("good, picture: 200", expected=True)
    if wrong:
        found.note(wrong, expected=False)
    return found


STEADY = Memory([100.0] * 50, {1.0})


@pytest.mark.parametrize(
    ("outcome", "memory", "status", "broken"),
    [
        (tally(), STEADY, 0, None),
        (tally(mixed_s=0.12), STEADY, 0, None),
        (tally(mixed_s=0.2), STEADY, 1, "median within 1.25"),
        (tally(wrong="bad, bomb: 500"), STEADY, 1, "no wrong answer"),
        (tally(), Memory([100.0] * 50, {1.0, 2.0}), 1, "one process"),
        (tally(), Memory([50.0] * 8 + [100.0 + index for index in range(42)], {1.0}), 1, "memory within 5%"),
        (tally(), Memory([50.0] * 8 + [100.0] * 42, {1.0}), 0, None),  # what it takes at first is no growth
    ],
)
def test_what_is_promised_is_judged(
    capsys: pytest.CaptureFixture[str], outcome: Tally, memory: Memory, status: int, broken: str | None
) -> None:
    assert report(outcome, memory) == status
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BROKEN")]
    assert said == ([f"BROKEN: {broken}"] if broken else [])
