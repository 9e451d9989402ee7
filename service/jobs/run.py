"""What a job's task gets and gives: the queue knows no pictures, and a task knows no queue."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from service.jobs.folder import INPUT
from service.jobs.progress import Progress
from service.jobs.record import Facts, Job, Segment


@dataclass(frozen=True)
class Outcome:
    """The result's file, complete, in the job's folder; `facts` for the caller: width, height, and what was noticed."""

    file: Path
    media_type: str
    facts: Facts = field(default_factory=dict)


class JobRun:
    """One job under way. `folder` is its own; of what it writes there, only noted segments outlive an interruption."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        *,
        segments: dict[int, Segment],
        note_segment: Callable[[Segment], Awaitable[None]],
    ) -> None:
        self.job = job
        self.folder = folder
        self.progress = Progress(job.steps)
        self.segments = segments
        """The pieces that earlier runs have finished, by number; their files are what they were then."""
        self._note_segment = note_segment

    @property
    def input(self) -> Path:
        """The file that was sent."""
        return self.folder / INPUT

    async def finish_segment(self, segment: Segment) -> None:
        """That piece need not be made again: its file is complete and on the disk."""
        await self._note_segment(segment)


class JobTask(Protocol):
    """Makes a job's result. May be cancelled at any await and called again later, in another process.

    Raises ServiceError; a retryable one, and any other exception, makes the queue try again later.
    """

    async def __call__(self, run: JobRun) -> Outcome: ...
