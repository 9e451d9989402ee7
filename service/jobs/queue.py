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
from service.jobs.feed import Event
from service.jobs.folder import new_job_id
from service.jobs.record import Facts, Job, Kind
from service.jobs.run import JobTask
from service.jobs.workers import JobWorkers

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_S = 30.0  # between two looks for what has been kept long enough
SPARE_BYTES = 64 << 20  # that an upload must leave on the disk
FULL_RETRY_S = 60.0

log = structlog.get_logger("service")


class JobQueue:
    """All jobs of this process. Belongs to the event loop's thread."""

    def __init__(self, book: JobBook, tasks: Mapping[Kind, JobTask], *, workers: int) -> None:
        self._book = book
        self._workers = JobWorkers(book, tasks, workers=workers)
        self._keys: set[str] = set()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what is there."""
        await self._book.open()
        self._workers.start()
        self._sweeping = asyncio.create_task(self._sweep())

    async def aclose(self) -> None:
        """Interrupt what is running, so that it can be gone on with."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self._workers.aclose()
        await self._book.close()

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

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises, in the thread of the database and the files."""
        return await self._book.call(function, *args, **kwargs)

    async def drop_upload(self, job_id: str) -> None:
        """It will not be submitted; nothing happens if it was."""
        await self._book.call(self._book.folder.drop_upload, job_id)

    async def submit(self, job: Job, file: BinaryIO, *, key: str | None, fingerprint: str) -> tuple[Job, bool]:
        """The job, accepted, and whether it is new: from here on it survives anything but the loss of the disk.

        Raises IdempotencyKeyReused where the key stands for another request.
        """
        earlier = None if key is None else await self._book.call(self._book.store.with_key, key)
        if earlier is not None:
            if earlier[1] != fingerprint:
                raise IdempotencyKeyReused(
                    "This Idempotency-Key came before with another file or other parameters. Take a new key."
                )
            return earlier[0], False
        await self._book.call(self._book.folder.finish_upload, job.id, file)
        await self._book.call(self._book.store.add, job, key=key, fingerprint=fingerprint)
        await self._book.publish(job.id, "state")
        self._workers.wake()
        return job, True

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

    def follow(self, job: Job, last_event_id: str | None, *, patience_s: float) -> AsyncIterator[Event | None]:
        """What happens to a job that is not finished; see Feed.follow. To be called at once when the job was got."""
        return self._book.feed(job).follow(last_event_id, patience_s=patience_s)

    # --- letting go

    async def cancel(self, job_id: str) -> Job:
        """An unfinished job is canceled; of a finished one, the result is removed. Raises UnknownJob."""
        job = await self._book.get(job_id)
        if await self._book.call(self._book.store.cancel, job_id, now=time.time()):
            await self._book.publish(job_id, "state")
            if not self._workers.stop(job_id):
                await self._book.call(self._book.folder.remove, job_id)
        elif job.state == "succeeded":
            await self._expire(job)
        return await self._book.get(job_id)

    async def _expire(self, job: Job) -> None:
        await self._book.call(self._book.store.expire, job.id)
        await self._book.call(self._book.folder.remove, job.id)
        log.info("job expired", job=job.id)

    async def _sweep(self) -> None:
        """Results go when they were kept for `keep_s`, what is known of a job when as much time has passed again."""
        book, keep_s = self._book, self._book.limits.keep_s
        while True:
            try:
                now = time.time()
                for job in await book.call(book.store.finished, before=now - keep_s):
                    if job.state == "succeeded":
                        await self._expire(job)
                old = await book.call(book.store.finished, before=now - 2 * keep_s)
                await book.call(book.store.forget, [job.id for job in old])
            except Exception:  # a full disk must not end the sweeping that frees it
                log.exception("the jobs' folder could not be swept")
            await asyncio.sleep(min(SWEEP_S, keep_s))
