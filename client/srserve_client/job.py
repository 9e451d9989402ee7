"""Job: work that the service does on its own, as far as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from srserve_client.answers import problem_of
from srserve_client.errors import ProblemError
from srserve_client.problems import JobCanceled, JobExpired

State = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` frames or tiles; None where it is not known yet. `fraction` is 0 to 1."""

    unit: str
    done: int
    total: int | None
    fraction: float | None
    eta_s: float | None


@dataclass(frozen=True)
class JobFile:
    """The file that a job made."""

    bytes: int
    media_type: str
    sha256: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Job:
    """One job at one moment. `problem` is the error that ended it, `waiting_for` why it does not go on."""

    id: str
    kind: str
    state: State
    progress: Progress
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    waiting_for: str | None
    problem: ProblemError | None
    result: JobFile | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Job":
        """The job in an answer or an event."""
        result = document["result"]
        return cls(
            id=str(document["id"]),
            kind=str(document["kind"]),
            state=document["state"],
            progress=Progress(**{name: document["progress"][name] for name in Progress.__dataclass_fields__}),
            created_at=datetime.fromisoformat(document["created_at"]),
            started_at=_time(document["started_at"]),
            finished_at=_time(document["finished_at"]),
            expires_at=_time(document["expires_at"]),
            waiting_for=document["waiting_for"],
            problem=None if document["problem"] is None else problem_of(document["problem"]),
            result=None
            if result is None
            else JobFile(int(result["bytes"]), str(result["media_type"]), str(result["sha256"]), raw=result),
            raw=document,
        )

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more, but that its result expires."""
        return self.state not in ("queued", "running")

    def succeeded(self) -> "Job":
        """This job, if it has a result. Raises the error that it ended with, JobCanceled or JobExpired."""
        if self.problem is not None:
            raise self.problem
        if self.state == "canceled":
            raise JobCanceled(f"The job {self.id} was canceled.")
        if self.state == "expired":
            raise JobExpired(f"The result of job {self.id} is no longer kept.")
        return self


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
