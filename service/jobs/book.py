"""The book: the jobs' database, folder and feeds as the event loop uses them; what blocks runs in a thread."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from service.errors import StoreError, UnknownJob
from service.jobs.document import job_document
from service.jobs.feed import EventName, Feed
from service.jobs.folder import JobFolder
from service.jobs.progress import Progress
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
    """The jobs in the folder at `path`, which is this process's alone until `close`.

    Raises StoreError, naming the folder and the cure, where it cannot be used.
    """

    def __init__(self, path: Path, limits: JobLimits) -> None:
        self.limits = limits
        self.folder = _open_folder(path)
        try:
            JobStore(self.folder.database).close()  # what is wrong with it is told before anything starts
        except Exception as error:
            self.folder.close()
            raise StoreError(f"{self.folder.database}: {error}. Cure: remove it, or set SR_JOBS to another.") from error
        self.progress: dict[str, Progress] = {}
        """Of the jobs that run."""
        self.waiting_for: dict[str, str] = {}
        """Why a job that could run waits, by id."""
        self._feeds: dict[str, Feed] = {}
        self._epoch = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    async def open(self) -> None:
        """Opens the database: what ran when the last process ended waits again; files that nobody knows are removed."""
        self.store = await self.call(JobStore, self.folder.database)
        self._epoch = await self.call(self.store.begin, now=time.time())
        await self.call(self.folder.remove_all_but, await self.call(self.store.ids))

    async def close(self) -> None:
        """After everything else."""
        await self.call(self.store.close)
        self._thread.shutdown()
        self.folder.close()

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
        """The job for its caller, as far as it is at this moment."""
        return job_document(
            job,
            progress=self.progress.get(job.id),
            waiting_for=self.waiting_for.get(job.id),
            keep_s=self.limits.keep_s,
        )

    async def publish(self, job_id: str, name: EventName) -> None:
        """Tell those who follow the job."""
        job = await self.call(self.store.get, job_id)
        if job is None:
            return
        feed = self.feed(job)
        feed.publish(name, self.document(job), last=job.finished)
        if job.finished:
            self._feeds.pop(job.id, None)  # those who follow have it still

    def feed(self, job: Job) -> Feed:
        """The events of a job that is not finished."""
        if job.id not in self._feeds:
            self._feeds[job.id] = Feed(self._epoch)
            self._feeds[job.id].publish("state", self.document(job))
        return self._feeds[job.id]


def _open_folder(path: Path) -> JobFolder:
    try:
        return JobFolder(path)
    except BlockingIOError as error:
        raise StoreError(
            f"{path}: another process works on the jobs in this folder. Cure: give each its own by SR_JOBS."
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path}: the jobs' folder cannot be used ({error.strerror}). Cure: set SR_JOBS to one that can."
        ) from error
