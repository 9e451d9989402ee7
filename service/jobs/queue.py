"""The queue: accepts jobs, answers for them, lets go of them. Nothing that was accepted is lost.

queued -> running -> succeeded -> expired        when its result was kept long enough, or the room is needed
             |-----> failed                      the caller's fault, or it was tried too often
             |-----> queued                      the process ended, or a resource was missing: it goes on later
queued or running -> canceled
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import structlog

from service.errors import IdempotencyInProgress, IdempotencyKeyReused, Overloaded, StorageFull
from service.jobs.book import JobBook
from service.jobs.folder import new_job_id
from service.jobs.record import Facts, Job, Kind
from service.jobs.run import JobTask
from service.jobs.workers import JobWorkers

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_S = 5.0  # between two looks for jobs whose process is no more, and for what has been kept long enough
FOLLOW_S = 0.25  # between two looks at a job that somebody follows
SPARE_BYTES = 64 << 20  # that an upload must leave on the disk
FULL_RETRY_S = 60.0

log = structlog.get_logger("service")


class JobQueue:
    """All jobs of the folder, those that other processes have accepted or run included. Belongs to the event loop."""

    def __init__(self, book: JobBook, tasks: Mapping[Kind, JobTask], *, workers: int) -> None:
        self._book = book
        self._workers = JobWorkers(book, tasks, workers=workers)
        self._keys: set[str] = set()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what is there."""
        await self._book.open()
        self._sweeping = asyncio.create_task(self._sweep())
        self._workers.start()

    async def aclose(self) -> None:
        """Interrupt what is running, so that it can be gone on with."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self._workers.aclose()
        await self._book.close()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises, in the thread of the database and the files."""
        return await self._book.call(function, *args, **kwargs)

    # --- accepting

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """The Idempotency-Key is this request's while the block runs. Raises IdempotencyInProgress."""
        if key is None:
            yield
            return
        if key in self._keys:
            raise IdempotencyInProgress(
                "Another request with this Idempotency-Key is under way; ask again when it has been answered.",
                retry_after_s=1,
            )
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.remove(key)

    async def make_room(self, wanted_bytes: int) -> None:
        """Room for one more job and that many bytes, at the cost of the oldest results if need be.

        Raises Overloaded for too many jobs, StorageFull for too many bytes.
        """
        book, limits = self._book, self._book.limits
        jobs = await book.call(book.store.unfinished)
        if jobs >= limits.max_jobs:
            raise Overloaded(
                f"There are {jobs} jobs that have not ended, and the limit is {limits.max_jobs}. Come back later.",
                members={"limit": limits.max_jobs, "actual": jobs + 1},
                retry_after_s=FULL_RETRY_S,
            )
        used = await book.call(book.store.bytes)
        if used + wanted_bytes > limits.max_bytes:
            for job in await book.call(book.store.finished):
                if job.state == "succeeded" and used + wanted_bytes > limits.max_bytes:
                    await self._expire(job)
                    used = await book.call(book.store.bytes)
        free = await book.call(book.folder.free_bytes)
        room = min(limits.max_bytes - used, free - SPARE_BYTES)
        if wanted_bytes > room:
            raise StorageFull(
                f"There is room for {max(room, 0)} bytes of jobs, and {wanted_bytes} are needed. Come back later.",
                members={"limit": max(room, 0), "actual": wanted_bytes},
                retry_after_s=FULL_RETRY_S,
            )

    async def begin_upload(self) -> tuple[str, BinaryIO]:
        """An id, and a file for what comes in."""
        job_id = new_job_id()
        return job_id, await self._book.call(self._book.folder.begin_upload, job_id)

    def upload_path(self, job_id: str) -> Path:
        """Where the upload lies until it is submitted."""
        return self._book.folder.upload_of(job_id)

    async def drop_upload(self, job_id: str) -> None:
        """It will not be submitted; nothing happens if it was."""
        await self._book.call(self._book.folder.drop_upload, job_id)

    async def submit(self, job: Job, file: BinaryIO, *, key: str | None, fingerprint: str) -> tuple[Job, bool]:
        """The job, accepted, and whether it is new: from here on it survives anything but the loss of the disk.

        Raises IdempotencyKeyReused where the key stands for another request.
        """
        book = self._book
        earlier = None if key is None else await book.call(book.store.with_key, key)
        if earlier is None:
            await book.call(book.folder.finish_upload, job.id, file)
            if await book.call(book.store.add, job, key=key, fingerprint=fingerprint):
                self._workers.wake()
                return job, True
            await book.call(book.folder.remove, job.id)  # another process took the key meanwhile
            assert key is not None
            earlier = await book.call(book.store.with_key, key)
        if earlier is None or earlier[1] != fingerprint:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came before with another file or other parameters. Take a new key."
            )
        return earlier[0], False

    # --- answering

    async def get(self, job_id: str) -> Job:
        """The job of that id. Raises UnknownJob."""
        return await self._book.get(job_id)

    def document(self, job: Job) -> Facts:
        """The job for its caller."""
        return self._book.document(job)

    def result_path(self, job: Job) -> Path:
        """The file of a job that has succeeded."""
        assert job.result is not None
        return self._book.folder.of(job.id) / job.result.file

    async def follow(self, job_id: str, seen: int) -> AsyncIterator[Job | None]:
        """The job whenever its version has grown beyond `seen`, until it has ended; None after every look in vain.

        Whoever follows may miss versions, but never the newest. Raises UnknownJob.
        """
        while True:
            job = await self._book.get(job_id)
            if job.version > seen:
                seen = job.version
                yield job
            else:
                yield None
            if job.finished:
                return
            await asyncio.sleep(FOLLOW_S)

    # --- letting go

    async def cancel(self, job_id: str) -> Job:
        """An unfinished job is canceled; of a finished one, the result is removed. Raises UnknownJob."""
        book = self._book
        job = await book.get(job_id)
        if await book.call(book.store.cancel, job_id, now=time.time()):
            if not self._workers.stop(job_id):
                await self._remove_unless_run(job_id)
        elif job.state == "succeeded":
            await self._expire(job)
        return await book.get(job_id)

    async def _remove_unless_run(self, job_id: str) -> None:
        """The files of a job that has ended, unless a process has not noticed yet, which will remove them then."""
        book = self._book
        lock = await book.call(book.folder.lock, job_id)
        if lock is not None:
            await book.call(book.folder.remove, job_id)
            await book.call(book.folder.unlock, lock)

    async def _expire(self, job: Job) -> None:
        await self._book.call(self._book.store.expire, job.id)
        await self._book.call(self._book.folder.remove, job.id)
        log.info("job expired", job=job.id)

    # --- sweeping

    async def _sweep(self) -> None:
        while True:
            try:
                await self._reclaim()
                await self._forget()
            except Exception:  # a full disk must not end the sweeping that frees it
                log.exception("the jobs' folder could not be swept")
            await asyncio.sleep(min(SWEEP_S, self._book.limits.keep_s / 2))

    async def _reclaim(self) -> None:
        """Jobs that are running, but not in any process, wait again: theirs was killed."""
        book = self._book
        for job_id in await book.call(book.store.running):
            lock = await book.call(book.folder.lock, job_id)
            if lock is not None:
                if await book.call(book.store.requeue, job_id, count_attempt=True):
                    log.warning("job found without a process", job=job_id)
                await book.call(book.folder.unlock, lock)
        self._workers.wake()

    async def _forget(self) -> None:
        """Results go when they were kept for `keep_s`, what is known of a job when as much time has passed again."""
        book, keep_s, now = self._book, self._book.limits.keep_s, time.time()
        for job in await book.call(book.store.finished, before=now - keep_s):
            if job.state == "succeeded":
                await self._expire(job)
        old = await book.call(book.store.finished, before=now - 2 * keep_s)
        await book.call(book.store.forget, [job.id for job in old])
        await book.call(book.folder.remove_all_but, await book.call(book.store.ids))
