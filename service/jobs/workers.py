"""The workers: take jobs out of the queue, run their tasks, and see to it that each ends or waits for another try."""

import asyncio
import errno
import functools
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar, get_args

import structlog

from service.errors import InternalError, Overloaded, ServiceError, StorageFull, Unavailable
from service.jobs.book import JobBook
from service.jobs.folder import sha256_of, sync_file
from service.jobs.record import Job, Kind, Result, Segment
from service.jobs.run import JobRun, JobTask, Outcome
from service.problems import problem_document

P = ParamSpec("P")
T = TypeVar("T")

LOOK_S = 0.5  # between two looks for jobs that other processes have accepted, or that need wait no longer
TICK_S = 0.25  # between two notes of a running job's progress, and two looks whether it was canceled elsewhere
FULL_DISK_WAIT_S = 5.0
OVERLOADED_WAIT_S = 2.0
DATABASE_RETRY_S = 1.0
FIRST_RETRY_S = 1.0  # after a failure of ours; doubled with every further one

log = structlog.get_logger("service")


class JobWorkers:
    """Runs up to `workers` jobs at once; one of several is kept from videos, so that a picture never waits for days.

    A job that was started `max_attempts` times and has finished no segment since has failed.
    """

    def __init__(self, book: JobBook, tasks: Mapping[Kind, JobTask], *, workers: int, max_attempts: int = 3) -> None:
        self._book = book
        self._tasks = tasks
        self._workers = workers
        self._max_attempts = max_attempts
        self._running: dict[str, tuple[Kind, asyncio.Task[None]]] = {}
        self._news = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to take jobs."""
        self._loop = asyncio.create_task(self._serve())

    def wake(self) -> None:
        """There is a new job, or a free worker."""
        self._news.set()

    def stop(self, job_id: str) -> bool:
        """Stop the job's task, which has been canceled; whether it runs here. Its files go when it has ended."""
        entry = self._running.get(job_id)
        if entry is not None:
            entry[1].cancel()
        return entry is not None

    async def aclose(self) -> None:
        """Interrupt what is running; it goes on when a process finds it."""
        self._closing = True
        self.wake()
        if self._loop is not None:
            await self._loop  # not cancelled: what it has begun to start must be in _running, or not started
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self) -> None:
        while not self._closing:
            self._news.clear()
            try:
                taken = await self._take()
            except sqlite3.Error:  # a full disk, mostly
                log.exception("the jobs' database could not be used")
                await asyncio.sleep(DATABASE_RETRY_S)
                continue
            if not taken and not self._closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()

    async def _take(self) -> bool:
        """Begins the next job; False if there is none, or no worker for it."""
        if len(self._running) >= self._workers:
            return False
        videos = sum(kind == "video" for kind, _ in self._running.values())
        kinds = [kind for kind in get_args(Kind) if kind != "video" or videos < max(1, self._workers - 1)]
        book = self._book
        job = await book.call(book.store.next_queued, kinds=kinds, now=time.time())
        if job is None:
            return False
        lock = await book.call(book.folder.lock, job.id)
        if lock is None:
            if not await asyncio.to_thread(book.folder.of(job.id).exists):
                await self._insist(book.store.fail, job.id, _lost(job), now=time.time())
            return False
        try:
            started = await book.call(book.store.start, job.id, now=time.time())
            job = await book.get(job.id)
        except sqlite3.Error:
            await book.call(book.folder.unlock, lock)
            raise
        if not started:
            await book.call(book.folder.unlock, lock)
            return True  # it was canceled a moment ago; there may be others
        task = asyncio.create_task(self._run(job, lock))
        self._running[job.id] = (job.kind, task)
        task.add_done_callback(functools.partial(self._ended, job.id))
        return True

    def _ended(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._running[job_id]
        self.wake()

    # --- one job

    async def _run(self, job: Job, lock: int) -> None:
        began = time.monotonic()
        try:
            await self._attempt(job)
        except asyncio.CancelledError:
            await self._insist(self._book.store.requeue, job.id, count_attempt=False)  # unless it was canceled
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its job's end, not the workers'
            await self._take_back(job, error)
        finally:
            await self._tidy_up(job, lock, seconds=time.monotonic() - began)

    async def _attempt(self, job: Job) -> None:
        book = self._book
        if job.attempts > self._max_attempts:  # the process ended each time: else it would have failed before
            raise InternalError(f"The job was started {job.attempts - 1} times and never came to an end.")
        folder = book.folder.of(job.id)
        segments = await asyncio.to_thread(_intact, folder, await book.call(book.store.segments, job.id))
        run = JobRun(job, folder, segments=segments, note_segment=functools.partial(self._note_segment, job.id))
        watcher = asyncio.create_task(self._watch(run))
        try:
            outcome = await self._tasks[job.kind](run)
            result = await asyncio.to_thread(_result, outcome)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            with suppress(sqlite3.Error):  # it may have ended before its progress was ever noted
                await book.call(book.store.note, job.id, run.progress.steps())
        await book.call(book.store.succeed, job.id, result, now=time.time())

    async def _note_segment(self, job_id: str, segment: Segment) -> None:
        if not await self._book.call(self._book.store.add_segment, job_id, segment):
            await asyncio.Event().wait()  # it was canceled, and so will this task be in a moment

    async def _watch(self, run: JobRun) -> None:
        """Note the progress, and stop the task when the job was canceled by another process."""
        noted = run.job.steps
        while True:
            await asyncio.sleep(TICK_S)
            steps = run.progress.steps()
            with suppress(sqlite3.Error):  # a note that the disk has no room for is no loss
                if (steps.done, steps.total) != (noted.done, noted.total):
                    noted = steps
                    runs = await self._book.call(self._book.store.note, run.job.id, steps)
                else:
                    runs = run.job.id in await self._book.call(self._book.store.running)
                if not runs:
                    self.stop(run.job.id)

    async def _take_back(self, job: Job, error: Exception) -> None:
        """It goes back into the queue where that may help; else it has failed."""
        book = self._book
        attempts = (await book.get(job.id)).attempts
        wait_s, reason = _wait(error, attempts=attempts)
        blameless = isinstance(error, Overloaded | Unavailable) or reason == "disk space"
        permanent = isinstance(error, ServiceError) and not error.retryable
        if permanent or (not blameless and attempts >= self._max_attempts):
            problem = error if isinstance(error, ServiceError) else InternalError("The job failed; see the log.")
            level = logging.INFO if permanent else logging.ERROR
            log.log(level, "job failed", job=job.id, detail=str(error), exc_info=None if permanent else error)
            await self._insist(book.store.fail, job.id, problem_document(problem, request_id=job.id), now=time.time())
            return
        log.warning("job interrupted", job=job.id, waits_for=reason, wait_s=wait_s, detail=str(error))
        await self._insist(
            book.store.requeue,
            job.id,
            count_attempt=not blameless,
            not_before=time.time() + wait_s,
            waiting_for=reason,
        )

    async def _insist(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Tell the database, however long its disk may be full: a job must not be running where nobody runs it."""
        while True:
            try:
                return await self._book.call(change, *args, **kwargs)
            except sqlite3.Error:
                log.exception("the jobs' database could not be written")
                if self._closing:
                    raise  # another process will find the job
                await asyncio.sleep(DATABASE_RETRY_S)

    async def _tidy_up(self, job: Job, lock: int, *, seconds: float) -> None:
        """What is not needed any more is removed, and others may run what is not finished."""
        book = self._book
        current = await book.call(book.store.get, job.id)
        state = current.state if current is not None else "forgotten"
        if state != "queued":
            result = current.result if current is not None and state == "succeeded" else None
            await asyncio.to_thread(_keep_only, book.folder.of(job.id), result.file if result else None)
        await book.call(book.folder.unlock, lock)
        log.info("job", job=job.id, kind=job.kind, state=state, seconds=round(seconds, 3))


def _lost(job: Job) -> dict[str, object]:
    return problem_document(InternalError("The job's files are not there any more."), request_id=job.id)


def _wait(error: Exception, *, attempts: int) -> tuple[float, str]:
    """Seconds until another try, and what it waits for."""
    if _is_full_disk(error):
        return FULL_DISK_WAIT_S, "disk space"
    if isinstance(error, Overloaded):
        return OVERLOADED_WAIT_S, "memory"
    return FIRST_RETRY_S * 2 ** max(attempts - 1, 0), "another try"


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    full = (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in full)


def _intact(folder: Path, segments: list[Segment]) -> dict[int, Segment]:
    """Those whose files are what they were when they were noted."""

    def is_intact(segment: Segment) -> bool:
        try:
            path = folder / segment.file
            return path.stat().st_size == segment.bytes and sha256_of(path) == segment.sha256
        except OSError:
            return False

    return {segment.number: segment for segment in segments if is_intact(segment)}


def _result(outcome: Outcome) -> Result:
    sync_file(outcome.file)
    return Result(
        file=outcome.file.name,
        media_type=outcome.media_type,
        bytes=outcome.file.stat().st_size,
        sha256=sha256_of(outcome.file),
        facts=outcome.facts,
    )


def _keep_only(folder: Path, name: str | None) -> None:
    """Empties the folder but for this file, and removes it if there is none to stay."""
    if name is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != name:
            entry.unlink(missing_ok=True)
