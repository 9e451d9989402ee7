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

TICK_S = 0.25  # between two looks at a running job's progress
NOTE_S = 5.0  # between two notes of it in the database
FULL_DISK_WAIT_S = 15.0
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
        self._not_before: dict[str, float] = {}  # monotonic, of jobs that wait for something
        self._news = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take jobs."""
        self._loop = asyncio.create_task(self._serve())

    def wake(self) -> None:
        """There is a new job, or a change that may let one run."""
        self._news.set()

    def stop(self, job_id: str) -> bool:
        """Stop the job's task, which has been canceled; whether it was running. Its files go when it has ended."""
        self._not_before.pop(job_id, None)
        self._book.waiting_for.pop(job_id, None)
        entry = self._running.get(job_id)
        if entry is not None:
            entry[1].cancel()
        return entry is not None

    async def aclose(self) -> None:
        """Interrupt what is running; it goes on when the service starts again."""
        tasks = [task for _, task in self._running.values()]
        for task in [self._loop, *tasks]:
            if task is not None:
                task.cancel()
        await asyncio.gather(*tasks, *([self._loop] if self._loop else []), return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            self._news.clear()
            try:
                job = await self._next()
            except sqlite3.Error:  # a full disk, mostly
                log.exception("the jobs' database could not be used")
                await asyncio.sleep(DATABASE_RETRY_S)
                continue
            if job is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._news.wait()
                continue
            task = asyncio.create_task(self._run(job))
            self._running[job.id] = (job.kind, task)
            task.add_done_callback(functools.partial(self._ended, job.id))

    def _ended(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._running[job_id]
        self.wake()

    async def _next(self) -> Job | None:
        """The next job, set to running."""
        if len(self._running) >= self._workers:
            return None
        videos = sum(kind == "video" for kind, _ in self._running.values())
        kinds = [kind for kind in get_args(Kind) if kind != "video" or videos < max(1, self._workers - 1)]
        now = time.monotonic()
        waiting = [job_id for job_id, at in self._not_before.items() if at > now]
        job = await self._book.call(self._book.store.next_queued, kinds=kinds, except_for=waiting)
        if job is None:
            return None
        self._news.set()  # should this one be canceled in a moment, there may be others
        self._not_before.pop(job.id, None)
        self._book.waiting_for.pop(job.id, None)
        await self._book.call(self._book.store.start, job.id, now=time.time())
        started = await self._book.call(self._book.store.get, job.id)
        return started if started is not None and started.state == "running" else None

    def _pause_s(self) -> float | None:
        """Seconds until a job that waits may be tried again."""
        now = time.monotonic()
        times = [at - now for at in self._not_before.values()]
        return max(min(times), 0.01) if times else None

    # --- one job

    async def _run(self, job: Job) -> None:
        began = time.monotonic()
        try:
            await self._attempt(job)
        except asyncio.CancelledError:
            await self._insist(self._book.store.requeue, job.id, count_attempt=False)  # unless it was canceled
            raise
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its job's end, not the workers'
            await self._take_back(job, error)
        finally:
            await self._tidy_up(job, seconds=time.monotonic() - began)

    async def _attempt(self, job: Job) -> None:
        book = self._book
        if job.attempts > self._max_attempts:  # the process ended each time: else it would have failed before
            raise InternalError(f"The job was started {job.attempts - 1} times and never came to an end.")
        folder = book.folder.of(job.id)
        segments = await asyncio.to_thread(_intact, folder, await book.call(book.store.segments, job.id))
        run = JobRun(job, folder, segments=segments, note_segment=lambda segment: self._note_segment(job.id, segment))
        book.progress[job.id] = run.progress
        await book.publish(job.id, "state")
        ticker = asyncio.create_task(self._tick(run))
        try:
            outcome = await self._tasks[job.kind](run)
            result = await asyncio.to_thread(_result, outcome)
            await book.call(book.store.progress, job.id, run.progress.steps())
            await book.call(book.store.succeed, job.id, result, now=time.time())
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            book.progress.pop(job.id, None)

    async def _note_segment(self, job_id: str, segment: Segment) -> None:
        if not await self._book.call(self._book.store.add_segment, job_id, segment):
            await asyncio.Event().wait()  # it was canceled, and so will this task be in a moment

    async def _tick(self, run: JobRun) -> None:
        """Tell of the progress, and note it now and then: a restart shows it until the job runs again."""
        told = noted = run.progress.steps()
        noted_at = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            steps = run.progress.steps()
            if steps != told:
                told = steps
                await self._book.publish(run.job.id, "progress")
            if steps != noted and time.monotonic() - noted_at > NOTE_S:
                noted, noted_at = steps, time.monotonic()
                await self._book.call(self._book.store.progress, run.job.id, steps)

    async def _take_back(self, job: Job, error: Exception) -> None:
        """It goes back into the queue where that may help; else it has failed."""
        book = self._book
        current = await book.get(job.id)
        wait_s, reason = _wait(error, attempts=current.attempts)
        blameless = isinstance(error, Overloaded | Unavailable) or reason == "disk space"
        permanent = isinstance(error, ServiceError) and not error.retryable
        if permanent or (not blameless and current.attempts >= self._max_attempts):
            problem = error if isinstance(error, ServiceError) else InternalError("The job failed; see the log.")
            log.log(
                logging.INFO if permanent else logging.ERROR,
                "job failed",
                job=job.id,
                exc_info=None if permanent else error,
            )
            await self._insist(book.store.fail, job.id, problem_document(problem, request_id=job.id), now=time.time())
            return
        log.warning("job interrupted", job=job.id, waits_for=reason, wait_s=wait_s, exc_info=error)
        if await self._insist(book.store.requeue, job.id, count_attempt=not blameless):
            self._not_before[job.id] = time.monotonic() + wait_s
            book.waiting_for[job.id] = reason

    async def _insist(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Tell the database, however long its disk may be full: a job must not be running where nobody runs it."""
        while True:
            try:
                return await self._book.call(change, *args, **kwargs)
            except sqlite3.Error:
                log.exception("the jobs' database could not be written")
                await asyncio.sleep(DATABASE_RETRY_S)

    async def _tidy_up(self, job: Job, *, seconds: float) -> None:
        """What is not needed any more is removed, and the end is told."""
        book = self._book
        current = await book.call(book.store.get, job.id)
        keep: set[str] | None = None
        if current is not None and current.state == "succeeded" and current.result is not None:
            keep = {current.result.file}
        if current is None or current.state != "queued":
            await asyncio.to_thread(_keep_only, book.folder.of(job.id), keep or set())
        if current is not None:
            log.info("job", job=job.id, kind=job.kind, state=current.state, seconds=round(seconds, 3))
            await book.publish(job.id, "state")


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


def _keep_only(folder: Path, names: set[str]) -> None:
    """Empties the folder but for these files, and removes it if nothing is to stay."""
    if not names:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if entry.name in names:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
