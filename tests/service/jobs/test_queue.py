"""The queue runs what it accepts, survives what may happen to it, and lets go of what it is told to."""

import asyncio
import errno
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.errors import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InferenceFailed,
    Overloaded,
    StorageFull,
    StoreError,
    UndecodableImage,
    UnknownJob,
)
from service.jobs import queue as queue_module
from service.jobs import workers as workers_module
from service.jobs.feed import END
from service.jobs.queue import JobQueue
from service.jobs.record import Job, Kind
from service.jobs.run import JobRun, JobTask, Outcome
from service.jobs.store import JobStore
from tests.service.jobs.examples import InPieces, Scripted, hand_in, new_book, until, until_state

Scenario = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def opened(
    path: Path, task: JobTask | Mapping[Kind, JobTask], *, workers: int = 1, **limits: float
) -> AsyncIterator[JobQueue]:
    """A queue on the folder, started; closed in an orderly way after the block."""
    tasks: Mapping[Kind, JobTask] = task if isinstance(task, Mapping) else {"picture": task, "video": task}
    made = JobQueue(new_book(path, **limits), tasks, workers=workers)
    await made.start()
    try:
        yield made
    finally:
        await made.aclose()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TICK_S", "FULL_DISK_WAIT_S", "OVERLOADED_WAIT_S", "FIRST_RETRY_S", "DATABASE_RETRY_S"):
        monkeypatch.setattr(workers_module, name, 0.01)


def run(scenario: Scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def files(path: Path, job: Job) -> list[str]:
    folder = path / job.id
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def test_a_job_is_run_and_its_result_kept_without_its_input(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue, b"abc")
            assert (await until_state(queue, accepted.id, "running")).attempts == 1
            task.gate.set()
            done = await until_state(queue, accepted.id, "succeeded")
            assert done.result is not None
            assert queue.result_path(done).read_bytes() == b"abc"
            assert done.result.bytes == 3
            assert done.result.facts == {"width": 6}
            await until(lambda: _async(files(tmp_path, done) == ["result.png"]))

    run(scenario)


async def _async(value: bool) -> bool:
    return value


def test_jobs_run_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as queue:
            jobs = [await hand_in(queue) for _ in range(4)]
            task.gate.set()
            for accepted in jobs:
                await until_state(queue, accepted.id, "succeeded")
            assert task.started == [accepted.id for accepted in jobs]

    run(scenario)


def test_videos_leave_a_worker_to_pictures(tmp_path: Path) -> None:
    async def scenario() -> None:
        films, pictures = Scripted(), Scripted()
        pictures.gate.set()
        async with opened(tmp_path, {"picture": pictures, "video": films}, workers=2) as queue:
            for _ in range(3):
                await hand_in(queue, kind="video")
            small = await hand_in(queue)
            await until_state(queue, small.id, "succeeded")
            assert len(films.started) == 1
            films.gate.set()

    run(scenario)


def test_the_only_worker_takes_videos_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        films = Scripted()
        films.gate.set()
        async with opened(tmp_path, films) as queue:
            await until_state(queue, (await hand_in(queue, kind="video")).id, "succeeded")

    run(scenario)


# --- cancelling


def test_a_running_job_is_canceled_at_once_and_its_files_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)
            await until_state(queue, accepted.id, "running")
            began = time.monotonic()
            assert (await queue.cancel(accepted.id)).state == "canceled"
            await until(lambda: _async(task.ended == [accepted.id]))
            assert time.monotonic() - began < 1
            await until(lambda: _async(files(tmp_path, accepted) == []))
            task.gate.set()
            following = await hand_in(queue)
            await until_state(queue, following.id, "succeeded")
            assert (await queue.cancel(accepted.id)).state == "canceled"

    run(scenario)


def test_a_waiting_job_is_canceled_and_never_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as queue:
            first, second, third = [await hand_in(queue) for _ in range(3)]
            await queue.cancel(second.id)
            assert files(tmp_path, second) == []
            task.gate.set()
            await until_state(queue, third.id, "succeeded")
            assert task.started == [first.id, third.id]

    run(scenario)


def test_to_cancel_what_has_succeeded_deletes_its_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)
            await until_state(queue, accepted.id, "succeeded")
            assert (await queue.cancel(accepted.id)).state == "expired"
            await until(lambda: _async(files(tmp_path, accepted) == []))
            assert (await queue.cancel(accepted.id)).state == "expired"

    run(scenario)


def test_an_unknown_job_is_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted()) as queue:
            for ask in (queue.get, queue.cancel):
                with pytest.raises(UnknownJob):
                    await ask("0" * 32)

    run(scenario)


# --- failing and trying again


def test_the_callers_fault_fails_at_once_with_its_problem(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted(failures=[UndecodableImage("The PNG is damaged.")])
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)
            failed = await until_state(queue, accepted.id, "failed", "succeeded")
            assert failed.problem is not None
            assert (failed.problem["code"], failed.problem["instance"]) == ("undecodable-image", accepted.id)
            await until(lambda: _async(files(tmp_path, accepted) == []))
            assert len(task.started) == 1

    run(scenario)


@pytest.mark.parametrize("fault", [InferenceFailed("no"), ZeroDivisionError("a bug")])
def test_our_fault_is_tried_again_but_not_for_ever(tmp_path: Path, fault: Exception) -> None:
    async def scenario() -> None:
        task = Scripted(failures=[fault] * 2)
        hopeless = Scripted(failures=[fault] * 99)
        for each in (task, hopeless):
            each.gate.set()
        async with opened(tmp_path, {"picture": task, "video": hopeless}, workers=2) as queue:
            good, bad = await hand_in(queue), await hand_in(queue, kind="video")
            await until_state(queue, good.id, "succeeded")
            failed = await until_state(queue, bad.id, "failed")
            assert failed.problem is not None
            assert failed.problem["status"] == 500
            assert "a bug" not in str(failed.problem)
            assert (len(task.started), len(hopeless.started)) == (3, 3)

    run(scenario)


@pytest.mark.parametrize(
    ("lack", "what"),
    [
        (Overloaded("The service is full."), "memory"),
        (StorageFull("The disk is full."), "disk space"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk space"),
    ],
)
def test_what_lacks_a_resource_waits_for_it_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: Exception, what: str
) -> None:
    async def scenario() -> None:
        task = Scripted(failures=[lack] * 4)
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)

            async def told() -> bool:
                return queue.document(await queue.get(accepted.id))["waiting_for"] == what

            await until(told)
            done = await until_state(queue, accepted.id, "succeeded", "failed")
            assert done.state == "succeeded"
            assert len(task.started) == 5
            assert queue.document(done)["waiting_for"] is None

    run(scenario)


def test_a_waiting_job_lets_others_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "OVERLOADED_WAIT_S", 60.0)

    async def scenario() -> None:
        task = Scripted(failures=[Overloaded("The service is full.")])
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            stuck, following = await hand_in(queue), await hand_in(queue)
            await until_state(queue, following.id, "succeeded")
            assert (await queue.get(stuck.id)).state == "queued"
            assert (await queue.cancel(stuck.id)).state == "canceled"

    run(scenario)


def test_a_database_that_cannot_be_written_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: SQLite raises, and goes on working when there is room again."""
    failing = {"start": 2, "requeue": 2, "fail": 2}

    def failing_at_first(name: str) -> Callable[..., object]:
        real = getattr(JobStore, name)

        def method(*args: object, **kwargs: object) -> object:
            if failing[name]:
                failing[name] -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return real(*args, **kwargs)

        return method

    for name in failing:
        monkeypatch.setattr(JobStore, name, failing_at_first(name))

    async def scenario() -> None:
        task = Scripted(failures=[OSError(errno.ENOSPC, "full"), UndecodableImage("damaged")])
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            bad, good = await hand_in(queue), await hand_in(queue)
            await until_state(queue, bad.id, "failed", "succeeded")
            await until_state(queue, good.id, "succeeded", "failed")
            states = {(await queue.get(job.id)).state for job in (bad, good)}
            assert states == {"failed", "succeeded"}
            assert not any(failing.values())

    run(scenario)


# --- restarting


def test_a_job_in_pieces_goes_on_after_the_last_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = InPieces(5)
        first.permits = asyncio.Semaphore(3)
        async with opened(tmp_path, first) as queue:
            accepted = await hand_in(queue)
            await until(lambda: _async(first.made == [0, 1, 2]))
        second = InPieces(5)
        second.permits = asyncio.Semaphore(2)
        async with opened(tmp_path, second) as queue:
            done = await until_state(queue, accepted.id, "succeeded")
            assert second.made == [3, 4]
            assert queue.result_path(done).read_text() == "piece 0 piece 1 piece 2 piece 3 piece 4"
            assert (done.steps.done, done.steps.total) == (5, 5)

    run(scenario)


@pytest.mark.parametrize("damage", ["changed", "shortened", "removed"])
def test_a_piece_that_is_not_what_it_was_is_made_again(tmp_path: Path, damage: str) -> None:
    async def scenario() -> None:
        first = InPieces(3)
        first.permits = asyncio.Semaphore(2)
        async with opened(tmp_path, first) as queue:
            accepted = await hand_in(queue)
            await until(lambda: _async(first.made == [0, 1]))
        piece = tmp_path / accepted.id / "piece0"
        if damage == "removed":
            piece.unlink()
        else:
            piece.write_text("PIECE 0" if damage == "changed" else "piece")
        second = InPieces(3)
        second.permits = asyncio.Semaphore(2)
        async with opened(tmp_path, second) as queue:
            done = await until_state(queue, accepted.id, "succeeded")
            assert second.made == [0, 2]
            assert queue.result_path(done).read_text() == "piece 0 piece 1 piece 2"

    run(scenario)


def test_a_job_that_ends_the_process_each_time_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted()) as queue:
            accepted = await hand_in(queue)
            await until_state(queue, accepted.id, "running")
        store = JobStore(tmp_path / "jobs.sqlite3")
        for _ in range(3):  # as a process that is killed leaves it
            assert store.start(accepted.id, now=0.0)
            store.begin(now=0.0)
        store.close()
        task = Scripted()
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            failed = await until_state(queue, accepted.id, "failed", "succeeded")
            assert failed.problem is not None
            assert "started 3 times" in str(failed.problem["detail"])
            assert task.started == []

    run(scenario)


def test_files_that_belong_to_no_job_are_removed_at_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        for stray in ("a" * 32, "incoming/" + "b" * 32):
            (tmp_path / stray).mkdir(parents=True)
            (tmp_path / stray / "input").write_bytes(b"x")
        (tmp_path / "somebody's notes").write_text("not ours")
        async with opened(tmp_path, Scripted()):
            assert not (tmp_path / ("a" * 32)).exists()
            assert list((tmp_path / "incoming").iterdir()) == []
            assert (tmp_path / "somebody's notes").exists()

    run(scenario)


def test_one_folder_has_one_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted()):
            with pytest.raises(StoreError, match="SR_JOBS"):
                new_book(tmp_path)

    run(scenario)


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="SR_JOBS"):
        new_book(tmp_path / "file" / "jobs")


def test_a_database_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match=r"jobs\.sqlite3"):
        new_book(tmp_path)


# --- accepting


def test_the_same_key_gives_the_same_job_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted()) as queue:
            first = await hand_in(queue, key="k", fingerprint="f")
            again = await hand_in(queue, key="k", fingerprint="f")
            assert again.id == first.id
            with pytest.raises(IdempotencyKeyReused):
                await hand_in(queue, key="k", fingerprint="g")
            assert (await hand_in(queue, key="other", fingerprint="f")).id != first.id
            assert list((tmp_path / "incoming").iterdir()) == []

    run(scenario)


def test_a_key_is_one_requests_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted()) as queue:
            with queue.claim("k"), queue.claim(None), queue.claim(None), queue.claim("other"):
                with pytest.raises(IdempotencyInProgress) as caught, queue.claim("k"):
                    pass
                assert caught.value.retry_after_s == 1
            with queue.claim("k"):
                pass

    run(scenario)


def test_more_jobs_than_may_wait_are_told_to_come_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted(), max_jobs=2) as queue:
            for _ in range(2):
                await queue.make_room(10)
                await hand_in(queue)
            with pytest.raises(Overloaded) as caught:
                await queue.make_room(10)
            assert caught.value.members == {"limit": 2, "actual": 3}
            assert caught.value.retry_after_s is not None

    run(scenario)


def test_room_is_made_of_the_oldest_results_and_of_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task, max_bytes=1000) as queue:
            task.gate.set()
            done = []
            for _ in range(3):
                done.append(await hand_in(queue, bytes(200)))
                await until_state(queue, done[-1].id, "succeeded")
            task.gate.clear()
            waiting = await hand_in(queue, bytes(300))
            await queue.make_room(200)
            assert [(await queue.get(job.id)).state for job in done] == ["expired", "succeeded", "succeeded"]
            assert files(tmp_path, done[0]) == []
            with pytest.raises(StorageFull) as caught:
                await queue.make_room(701)
            assert caught.value.members == {"limit": 700, "actual": 701}
            assert (await queue.get(waiting.id)).state in ("queued", "running")
            await queue.make_room(700)

    run(scenario)


def test_a_disk_that_is_nearly_full_takes_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, Scripted(), max_bytes=2**50) as queue:
            free = queue._book.folder.free_bytes()
            with pytest.raises(StorageFull):
                await queue.make_room(free - queue_module.SPARE_BYTES // 2)

    run(scenario)


# --- letting go


def test_results_expire_and_are_forgotten_after_as_long_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        task = Scripted()
        task.gate.set()
        async with opened(tmp_path, task, keep_s=0.3) as queue:
            accepted = await hand_in(queue)
            await until_state(queue, accepted.id, "expired")
            assert files(tmp_path, accepted) == []

            async def forgotten() -> bool:
                try:
                    await queue.get(accepted.id)
                except UnknownJob:
                    return True
                return False

            await until(forgotten)

    run(scenario)


# --- telling


def test_a_listener_hears_of_every_state_and_of_progress(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = InPieces(3)
        async with opened(tmp_path, task) as queue:
            accepted = await until_state(queue, (await hand_in(queue)).id, "running")
            heard: list[tuple[str, str, int]] = []

            async def listen() -> None:
                async for event in queue.follow(accepted, None, patience_s=60):
                    assert event is not None
                    progress = event.document["progress"]
                    assert isinstance(progress, dict)
                    heard.append((event.name, str(event.document["state"]), progress["done"]))
                    if event.name == "progress" or len(heard) == 1:
                        task.permits.release()
                assert event is not None
                assert event.id == END

            await listen()
            assert heard[-1] == ("state", "succeeded", 3)
            assert [entry for entry in heard if entry[0] == "progress"] == [
                ("progress", "running", done) for done in (1, 2, 3)
            ]
            assert queue._book._feeds == {}  # nothing is kept of a job that has ended

    run(scenario)


def test_progress_is_noted_for_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "NOTE_S", 0.0)

    async def scenario() -> None:
        task = InPieces(3)
        task.permits = asyncio.Semaphore(2)
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)

            async def noted() -> bool:
                return (await queue.get(accepted.id)).steps.done == 2

            await until(noted)
        async with opened(tmp_path, {}, workers=0) as queue:
            assert queue.document(await queue.get(accepted.id))["progress"] == {
                "unit": "tiles",
                "done": 2,
                "total": 3,
                "fraction": 2 / 3,
                "eta_s": None,
            }

    run(scenario)


def test_a_task_may_report_more_than_it_promised(tmp_path: Path) -> None:
    async def chatty(run: JobRun) -> Outcome:
        run.progress.expect(2)
        run.progress.advance(5)
        await asyncio.sleep(60)
        raise AssertionError

    async def scenario() -> None:
        async with opened(tmp_path, chatty) as queue:
            accepted = await hand_in(queue)

            async def told() -> bool:
                progress = queue.document(await queue.get(accepted.id))["progress"]
                assert isinstance(progress, dict)
                return bool(progress["fraction"] == 1.0 and progress["done"] == 2)

            await until(told)

    run(scenario)
