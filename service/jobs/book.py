"""The book: the jobs' database and folder as the event loop uses them; what blocks runs in one thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from service.errors import StoreError, UnknownJob
from service.jobs.document import job_document
from service.jobs.folder import JobFolder
from service.jobs.record import Facts, Job
from service.jobs.store import JobStore
from service.problems import shorten

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class JobLimits:
    """`max_jobs` counts those that are not finished; `max_bytes` is of all files; `keep_s` is for results."""

    max_jobs: int
    max_bytes: int
    keep_s: float


class JobBook:
    """The jobs in the folder at `path`.

    Raises StoreError, naming the folder and the cure, where it cannot be used: before anything has started.
    """

    def __init__(self, path: Path, limits: JobLimits) -> None:
        self.limits = limits
        self._path = path
        try:
            folder = JobFolder(path)
            try:
                JobStore(folder.database).close()
            finally:
                folder.close()
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"{path}: the jobs' folder cannot be used ({reason}). Cure: set SR_JOBS.") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    async def open(self) -> None:
        """For use."""
        self.folder = await self.call(JobFolder, self._path)
        self.store = await self.call(JobStore, self.folder.database)

    async def close(self) -> None:
        """After everything else."""
        await self.call(self.store.close)
        await self.call(self.folder.close)
        self._thread.shutdown()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises, run in the thread of the database and the files, in order of the calls."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    async def get(self, job_id: str) -> Job:
        """The job of that id. Raises UnknownJob."""
        job = await self.call(self.store.get, job_id)
        if job is None:
            raise UnknownJob(f"There is no job {shorten(job_id)!r}, or not any more.")
        return job

    def document(self, job: Job) -> Facts:
        """The job for its caller."""
        return job_document(job, keep_s=self.limits.keep_s)
