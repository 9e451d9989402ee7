"""The queue runs what it accepts, survives what may happen to it, and lets go of what it is told to."""

import asyncio
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
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
    for name in ("LOOK_S", "TICK_S", "FULL_DISK_WAIT_S", "OVERLOADED_WAIT_S", "FIRST_RETRY_S", "DATABASE_RETRY_S"):
        monkeypatch.setattr(workers_module, name, 0.01)
    monkeypatch.setattr(queue_module, "FOLLOW_S", 0.002)


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


def uploads(path: Path) -> list[Path]:
    return list(path.glob("incoming/*/*/"))


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
            assert (await queue.cancel(accepted.id)).state == "canceled"
            await until(lambda: _async(task.ended == [accepted.id]))
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
    told = []
    requeue = JobStore.requeue

    def spied(store: JobStore, job_id: str, **options: Any) -> bool:  # noqa: ANN401 - as of the method
        requeued = requeue(store, job_id, **options)
        waiting = store.get(job_id)
        assert waiting is not None
        told.append((waiting.state, waiting.waiting_for))
        return requeued

    monkeypatch.setattr(JobStore, "requeue", spied)

    async def scenario() -> None:
        task = Scripted(failures=[lack] * 4)
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            accepted = await hand_in(queue)
            done = await until_state(queue, accepted.id, "succeeded", "failed")
            assert done.state == "succeeded"
            assert len(task.started) == 5
            assert told == [("queued", what)] * 4
            assert done.waiting_for is None

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
            assert store.requeue(accepted.id, count_attempt=True)
        store.close()
        task = Scripted()
        task.gate.set()
        async with opened(tmp_path, task) as queue:
            failed = await until_state(queue, accepted.id, "failed", "succeeded")
            assert failed.problem is not None
            assert "started 3 times" in str(failed.problem["detail"])
            assert task.started == []

    run(scenario)


def test_files_that_belong_to_no_job_are_removed_when_they_are_old(tmp_path: Path) -> None:
    async def scenario() -> None:
        old, new = tmp_path / ("a" * 32), tmp_path / ("b" * 32)
        for stray in (old, new, tmp_path / "incoming" / "dead" / ("c" * 32)):
            stray.mkdir(parents=True)
            (stray / "input").write_bytes(b"x")
        os.utime(old, (1.0, 1.0))
        (tmp_path / "somebody's notes").write_text("not ours")
        async with opened(tmp_path, Scripted()):
            await until(lambda: _async(not old.exists()))
            assert new.exists()  # another process may be about to write it down
            await until(lambda: _async(not (tmp_path / "incoming" / "dead").exists()))
            assert len(list((tmp_path / "incoming").iterdir())) == 1
            assert (tmp_path / "somebody's notes").exists()
        assert list((tmp_path / "incoming").iterdir()) == []

    run(scenario)


def test_a_job_whose_files_are_gone_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as queue:
            first, lost = await hand_in(queue), await hand_in(queue)
            shutil.rmtree(tmp_path / lost.id)
            task.gate.set()
            assert (await until_state(queue, lost.id, "failed", "succeeded")).state == "failed"
            assert (await until_state(queue, first.id, "failed", "succeeded")).state == "succeeded"

    run(scenario)


# --- several processes, here several queues: their locks know no difference


def test_processes_share_the_work_and_none_does_what_another_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        tasks = [Scripted() for _ in range(3)]
        async with opened(tmp_path, tasks[0]) as a, opened(tmp_path, tasks[1]) as b, opened(tmp_path, tasks[2]) as c:
            jobs = [await hand_in(a) for _ in range(9)]
            await until(lambda: _async(all(task.started for task in tasks)))
            for task in tasks:
                task.gate.set()
            for accepted in jobs:
                done = await until_state(c, accepted.id, "succeeded")
                assert b.result_path(done).read_bytes() == b"0123456789"
            assert sorted(job_id for task in tasks for job_id in task.started) == sorted(job.id for job in jobs)

    run(scenario)


def test_a_job_is_canceled_and_followed_through_any_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = Scripted()
        async with opened(tmp_path, task) as runs, opened(tmp_path, Scripted(), workers=0) as other:
            accepted = await hand_in(other)
            await until_state(other, accepted.id, "running")
            heard: list[str] = []

            async def listen() -> None:
                async for job in other.follow(accepted.id, 0):
                    if job is not None:
                        heard.append(job.state)  # noqa: PERF401 - heard of as it comes

            listening = asyncio.create_task(listen())
            await until(lambda: _async(bool(heard)))
            assert (await other.cancel(accepted.id)).state == "canceled"
            await until(lambda: _async(task.ended == [accepted.id]))
            await listening
            assert heard[-1] == "canceled"
            await until(lambda: _async(files(tmp_path, accepted) == []))
            assert (await runs.get(accepted.id)).state == "canceled"

    run(scenario)


def test_a_job_whose_process_was_killed_is_found_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "SWEEP_S", 0.01)

    async def scenario() -> None:
        busy, free = Scripted(), Scripted()
        free.gate.set()
        async with opened(tmp_path, busy) as first:
            accepted, orphan = await hand_in(first), await hand_in(first)
            await until_state(first, accepted.id, "running")
            store = JobStore(tmp_path / "jobs.sqlite3")
            assert store.start(orphan.id, now=0.0)  # as by a process that has been killed since: nobody has its lock
            store.close()
            async with opened(tmp_path, free) as second:
                done = await until_state(second, orphan.id, "succeeded")
                assert done.attempts == 2
                assert (await second.get(accepted.id)).state == "running"  # which is another's, and alive
                busy.gate.set()
                await until_state(second, accepted.id, "succeeded")

    run(scenario)


# --- folders that cannot be used


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="SR_JOBS"):
        new_book(tmp_path / "file" / "jobs")


def test_a_database_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
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
            assert uploads(tmp_path) == []

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
    later_s = 0.0
    monkeypatch.setattr(queue_module, "SWEEP_S", 0.01)
    monkeypatch.setattr(queue_module, "time", SimpleNamespace(time=lambda: time.time() + later_s))

    async def scenario() -> None:
        nonlocal later_s
        task = Scripted()
        task.gate.set()
        async with opened(tmp_path, task, keep_s=100.0) as queue:
            accepted = await hand_in(queue)
            await until_state(queue, accepted.id, "succeeded")
            later_s = 101.0
            await until_state(queue, accepted.id, "expired")
            await until(lambda: _async(files(tmp_path, accepted) == []))
            later_s = 201.0

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
            accepted = await hand_in(queue)
            heard: list[tuple[str, int, int]] = []
            async for job in queue.follow(accepted.id, 0):
                if job is None:
                    continue
                if job.state == "running" and ("running", job.steps.done) not in {entry[:2] for entry in heard}:
                    task.permits.release()
                heard.append((job.state, job.steps.done, job.version))
            assert heard[-1][:2] == ("succeeded", 3)
            assert {entry[:2] for entry in heard} >= {("running", done) for done in (0, 1, 2)}
            assert [entry[2] for entry in heard] == sorted({entry[2] for entry in heard})
            last = heard[-1][2]
            assert [job async for job in queue.follow(accepted.id, last)] == [None]
            assert [job.version async for job in queue.follow(accepted.id, last - 1) if job is not None] == [last]
            with pytest.raises(UnknownJob):
                await anext(queue.follow("0" * 32, 0))

    run(scenario)


def test_progress_is_noted_for_a_restart(tmp_path: Path) -> None:
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


def test_what_was_done_is_told_of_a_job_that_ended_before_its_progress_was_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "TICK_S", 60.0)

    async def quick(run: JobRun) -> Outcome:
        run.progress.expect(4)
        run.progress.advance(4 if run.job.kind == "picture" else 3)
        if run.job.kind == "video":
            raise UndecodableImage("The last one is damaged.")
        path = run.folder / "result.png"
        path.write_bytes(b"done")
        return Outcome(path, "image/png")

    async def scenario() -> None:
        async with opened(tmp_path, quick) as queue:
            cases: list[tuple[Kind, str, int]] = [("picture", "succeeded", 4), ("video", "failed", 3)]
            for kind, state, done in cases:
                accepted = await hand_in(queue, kind=kind)
                ended = await until_state(queue, accepted.id, "succeeded", "failed")
                assert ended.state == state
                progress = queue.document(ended)["progress"]
                assert isinstance(progress, dict)
                assert (progress["done"], progress["total"], progress["fraction"]) == (done, 4, done / 4)

    run(scenario)
