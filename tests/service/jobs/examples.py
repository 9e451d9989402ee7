"""Jobs for tests: records, and tasks whose every step the test decides."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from service.jobs.book import JobBook, JobLimits
from service.jobs.folder import new_job_id, sha256_of, sync_file
from service.jobs.queue import JobQueue
from service.jobs.record import Job, Kind, Segment, Source, Steps
from service.jobs.run import JobRun, Outcome

LIMITS = JobLimits(max_jobs=100, max_bytes=1 << 20, keep_s=3600.0)


def job(number: int = 0, *, kind: Kind = "picture", size: int = 10) -> Job:
    """A new job; those of higher numbers came later."""
    source = Source(size, "0" * 64, "image/png", {"width": 3})
    return Job(new_job_id(), kind, "queued", {"model": "nearest"}, source, 1000.0 + number, Steps("tiles"))


async def hand_in(queue: JobQueue, content: bytes = b"0123456789", *, kind: Kind = "picture", **options: str) -> Job:
    """The job, accepted; `options` are `key` and `fingerprint`."""
    job_id, file = await queue.begin_upload()
    source = Source(len(content), "0" * 64, "image/png")
    new = Job(job_id, kind, "queued", {}, source, time.time(), Steps("tiles"))
    key, fingerprint = options.get("key"), options.get("fingerprint", "same")
    try:
        file.write(content)
        accepted, _ = await queue.submit(new, file, key=key, fingerprint=fingerprint)
    finally:
        file.close()
        await queue.drop_upload(job_id)
    return accepted


class Scripted:
    """A task that copies its input, and waits at `gate` before; counts its starts."""

    def __init__(self, *, failures: list[Exception] | None = None) -> None:
        self.gate = asyncio.Event()
        self.started: list[str] = []
        self.ended: list[str] = []
        self._failures = list(failures or [])

    async def __call__(self, run: JobRun) -> Outcome:
        self.started.append(run.job.id)
        try:
            await self.gate.wait()
            if self._failures:
                raise self._failures.pop(0)
            path = run.folder / "result.png"
            path.write_bytes(run.input.read_bytes())
            return Outcome(path, "image/png", {"width": 6})
        finally:
            self.ended.append(run.job.id)


class InPieces:
    """A task of `pieces` segments, each noted when it is done; waits for `permits` before each."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.permits = asyncio.Semaphore(0)
        self.made: list[int] = []

    async def __call__(self, run: JobRun) -> Outcome:
        run.progress.expect(self.pieces, done=len(run.segments))
        for number in range(self.pieces):
            if number in run.segments:
                continue
            await self.permits.acquire()
            path = run.folder / f"piece{number}"
            path.write_text(f"piece {number}")
            sync_file(path)
            await run.finish_segment(Segment(number, path.name, 1, path.stat().st_size, sha256_of(path)))
            self.made.append(number)
            run.progress.advance()
        result = run.folder / "result.txt"
        result.write_text(" ".join((run.folder / f"piece{number}").read_text() for number in range(self.pieces)))
        return Outcome(result, "text/plain")


async def until(condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 20.0) -> None:
    """Returns when `condition` is true; TimeoutError if it does not become so."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - nothing tells of what tests look for
            await asyncio.sleep(0.005)


async def until_state(queue: JobQueue, job_id: str, *states: str) -> Job:
    """The job when it is in one of the states."""

    async def reached() -> bool:
        return (await queue.get(job_id)).state in states

    await until(reached)
    return await queue.get(job_id)


def new_book(path: Path, **changes: float) -> JobBook:
    """A book with LIMITS, changed."""
    return JobBook(path, JobLimits(**{**vars(LIMITS), **changes}))
