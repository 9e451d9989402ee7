"""What is counted of the jobs is what the database holds, whoever changes it meanwhile."""

import math
from pathlib import Path
from typing import get_args

from service.jobs.census import Census
from service.jobs.record import Result, State
from service.jobs.store import JobStore
from tests.service.jobs.examples import job


def counts(census: Census) -> dict[str, float]:
    return {state: census.jobs(state) for state in get_args(State) if census.jobs(state)}


def test_jobs_are_counted_by_state_while_the_database_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "it's a folder?" / "jobs.sqlite3"
    path.parent.mkdir()
    store, census = JobStore(path), Census(path)
    assert (counts(census), census.bytes()) == ({}, 0)
    first, second, third = (job(number, size=10 + number) for number in range(3))
    for each in (first, second, third):
        store.add(each)
    assert (counts(census), census.bytes()) == ({"queued": 3}, 33)
    store.start(first.id, now=1.0)
    store.cancel(second.id, now=2.0)
    assert (counts(census), census.bytes()) == ({"queued": 1, "running": 1, "canceled": 1}, 22)
    store.succeed(first.id, Result("result.png", "image/png", 500, "0" * 64), now=3.0)
    assert counts(census) == {"queued": 1, "succeeded": 1, "canceled": 1}
    assert census.bytes() == store.bytes()
    store.close()


def test_where_there_is_no_database_the_number_is_none(tmp_path: Path) -> None:
    assert math.isnan(Census(tmp_path / "nowhere.sqlite3").jobs("queued"))
    assert not (tmp_path / "nowhere.sqlite3").exists()
