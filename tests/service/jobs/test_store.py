"""The jobs' database: what is written stays, states follow each other only as they may, and keys are unique."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.jobs.record import Job, Result, Segment, Steps
from service.jobs.store import SCHEMA_VERSION, JobStore
from tests.service.jobs.examples import job

RESULT = Result("result.png", "image/png", 500, "1" * 64, {"width": 6})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite3")
    yield store
    store.close()


def added(store: JobStore, number: int = 0) -> Job:
    new = job(number)
    assert store.add(new)
    return new


def running(store: JobStore, number: int = 0) -> Job:
    new = added(store, number)
    assert store.start(new.id, now=2000.0)
    return new


def state(store: JobStore, job_id: str) -> str:
    found = store.get(job_id)
    assert found is not None
    return found.state


def test_a_job_is_read_as_it_was_written(store: JobStore) -> None:
    new = added(store)
    assert store.get(new.id) == new
    assert store.get("0" * 32) is None


def test_a_job_outlives_the_connection(tmp_path: Path) -> None:
    first = JobStore(tmp_path / "jobs.sqlite3")
    new = added(first)
    first.close()
    second = JobStore(tmp_path / "jobs.sqlite3")
    assert second.get(new.id) == new
    second.close()


def test_a_database_of_a_newer_service_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    JobStore(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(ValueError, match="version 2"):
        JobStore(path)


def test_commits_wait_for_the_disk(store: JobStore) -> None:
    assert store._value("PRAGMA journal_mode") == "wal"
    assert store._value("PRAGMA synchronous") == 2  # FULL
    assert store._notes.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL: safe, and not waited for


def test_the_oldest_of_the_wanted_kinds_goes_first(store: JobStore) -> None:
    late, early = job(5), job(1)
    film = dataclasses.replace(job(0), kind="video")
    for new in (late, early, film):
        store.add(new)
    assert store.next_queued(kinds=["picture", "video"], now=0.0) == film
    assert store.next_queued(kinds=["picture"], now=0.0) == early
    assert store.next_queued(kinds=[], now=0.0) is None


def test_a_job_that_waits_for_something_lets_others_pass_until_its_time(store: JobStore) -> None:
    early, late = running(store, 1), added(store, 5)
    assert store.requeue(early.id, count_attempt=True, not_before=3000.0, waiting_for="disk space")
    waiting = store.get(early.id)
    assert waiting is not None
    assert waiting.waiting_for == "disk space"
    assert store.next_queued(kinds=["picture"], now=2999.0) == late
    assert store.next_queued(kinds=["picture"], now=3000.0) == waiting
    store.start(early.id, now=3000.0)
    started = store.get(early.id)
    assert started is not None
    assert started.waiting_for is None


def test_only_a_queued_job_starts(store: JobStore) -> None:
    new = running(store)
    assert not store.start(new.id, now=3000.0)
    found = store.get(new.id)
    assert found is not None
    assert (found.state, found.started_at, found.attempts) == ("running", 2000.0, 1)


def test_what_runs_can_be_listed_and_put_back(store: JobStore) -> None:
    new, done = running(store), running(store, 1)
    store.succeed(done.id, RESULT, now=2500.0)
    assert store.running() == [new.id]
    store.requeue(new.id, count_attempt=True)
    assert store.start(new.id, now=4000.0)
    again = store.get(new.id)
    assert again is not None
    assert (again.started_at, again.attempts) == (2000.0, 2)


def test_two_processes_start_a_job_once(tmp_path: Path) -> None:
    first, second = (JobStore(tmp_path / "jobs.sqlite3") for _ in range(2))
    new = added(first)
    assert [store.start(new.id, now=0.0) for store in (second, first)] == [True, False]
    assert state(first, new.id) == "running"
    first.close()
    second.close()


def test_every_visible_change_has_a_version_of_its_own(store: JobStore) -> None:
    new = added(store)
    versions = [1]
    changes: list[Callable[[], bool]] = [
        lambda: store.start(new.id, now=0.0),
        lambda: store.note(new.id, Steps("tiles", 1, 2, 3.5)),
        lambda: store.requeue(new.id, count_attempt=False),
        lambda: store.start(new.id, now=0.0),
        lambda: store.succeed(new.id, RESULT, now=0.0),
        lambda: store.expire(new.id),
    ]
    for change in changes:
        assert change()
        found = store.get(new.id)
        assert found is not None
        versions.append(found.version)
    assert versions == sorted(set(versions))


def test_progress_is_noted_of_what_runs_and_the_forecast_ends_with_the_run(store: JobStore) -> None:
    new = added(store)
    assert not store.note(new.id, Steps("tiles", 1, 2))
    store.start(new.id, now=0.0)
    assert store.note(new.id, Steps("tiles", 1, 2, 3.5))
    found = store.get(new.id)
    assert found is not None
    assert found.steps == Steps("tiles", 1, 2, 3.5)
    store.requeue(new.id, count_attempt=False)
    found = store.get(new.id)
    assert found is not None
    assert found.steps == Steps("tiles", 1, 2)


def test_an_orderly_interruption_is_no_attempt(store: JobStore) -> None:
    new = running(store)
    assert store.requeue(new.id, count_attempt=False)
    store.start(new.id, now=2001.0)
    assert store.requeue(new.id, count_attempt=True)
    found = store.get(new.id)
    assert found is not None
    assert (found.state, found.attempts) == ("queued", 1)
    assert not store.requeue(new.id, count_attempt=True)


def test_a_finished_segment_makes_the_attempts_begin_anew(store: JobStore) -> None:
    new = running(store)
    for _ in range(2):
        store.requeue(new.id, count_attempt=True)
        store.start(new.id, now=0.0)
    segments = [Segment(number, f"s{number}", 10, 100, "2" * 64) for number in (1, 0)]
    assert all(store.add_segment(new.id, segment) for segment in segments)
    assert store.segments(new.id) == segments[::-1]
    found = store.get(new.id)
    assert found is not None
    assert found.attempts == 1
    assert store.bytes() == 10 + 200
    assert store.add_segment(new.id, dataclasses.replace(segments[0], bytes=50))
    assert store.bytes() == 10 + 150


def test_success_keeps_the_result_and_forgets_the_pieces(store: JobStore) -> None:
    new = running(store)
    store.add_segment(new.id, Segment(0, "s0", 10, 100, "2" * 64))
    store.note(new.id, Steps("tiles", 12, 12))
    assert store.succeed(new.id, RESULT, now=3000.0)
    found = store.get(new.id)
    assert found is not None
    assert (found.state, found.result, found.finished_at, found.steps) == (
        "succeeded",
        RESULT,
        3000.0,
        Steps("tiles", 12, 12),
    )
    assert store.segments(new.id) == []
    assert store.bytes() == RESULT.bytes


def test_what_was_canceled_neither_succeeds_nor_fails_nor_goes_on(store: JobStore) -> None:
    new = running(store)
    assert store.cancel(new.id, now=3000.0)
    assert not store.cancel(new.id, now=3001.0)
    assert not store.succeed(new.id, RESULT, now=3002.0)
    assert not store.fail(new.id, {}, now=3002.0)
    assert not store.requeue(new.id, count_attempt=True)
    assert not store.add_segment(new.id, Segment(0, "s0", 10, 100, "2" * 64))
    found = store.get(new.id)
    assert found is not None
    assert (found.state, found.finished_at, found.result) == ("canceled", 3000.0, None)
    assert store.bytes() == 0


def test_a_failure_keeps_its_problem(store: JobStore) -> None:
    new = running(store)
    assert store.fail(new.id, {"code": "undecodable-image", "path": Path("x")}, now=3000.0)
    found = store.get(new.id)
    assert found is not None
    assert (found.state, found.problem) == ("failed", {"code": "undecodable-image", "path": "x"})


def test_only_a_result_expires(store: JobStore) -> None:
    new, other = running(store), running(store, 1)
    assert not store.expire(new.id)
    store.succeed(new.id, RESULT, now=3000.0)
    assert store.expire(new.id)
    assert not store.expire(new.id)
    assert (state(store, new.id), state(store, other.id)) == ("expired", "running")


def test_a_key_stands_for_one_job(store: JobStore) -> None:
    first, second = job(0), job(1)
    assert store.add(first, key="k", fingerprint="f")
    assert not store.add(second, key="k", fingerprint="g")
    assert store.with_key("k") == (first, "f")
    assert store.with_key("other") is None
    assert store.ids() == {first.id}
    store.forget([first.id])
    assert store.add(second, key="k", fingerprint="g")


def test_two_jobs_of_one_id_are_a_mistake_of_ours(store: JobStore) -> None:
    new = added(store)
    with pytest.raises(sqlite3.IntegrityError):
        store.add(new)


def test_finished_jobs_come_oldest_first(store: JobStore) -> None:
    jobs = [running(store, number) for number in range(3)]
    for at, number in zip((30.0, 10.0, 20.0), range(3), strict=True):
        store.cancel(jobs[number].id, now=at)
    added(store, 9)
    assert [found.id for found in store.finished()] == [jobs[1].id, jobs[2].id, jobs[0].id]
    assert [found.id for found in store.finished(before=20.0)] == [jobs[1].id]
    assert store.unfinished() == 1


def test_all_jobs_can_be_named_and_forgotten(store: JobStore) -> None:
    jobs = [added(store, number) for number in range(5)]
    assert store.ids() == {new.id for new in jobs}
    store.forget(new.id for new in jobs)
    assert store.ids() == set()
