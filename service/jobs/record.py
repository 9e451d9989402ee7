"""The records of a job: what was asked, how far it is, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["picture", "video"]
State = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]

UNFINISHED: tuple[State, ...] = ("queued", "running")

Facts = Mapping[str, object]  # plain JSON


@dataclass(frozen=True)
class Source:
    """The file that was sent: its size, its digest, and what its header says (`facts`: width, height, ...)."""

    bytes: int
    sha256: str
    media_type: str
    facts: Facts = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Of the picture, or of all frames of the video; 0 where its header does not say."""
        height, width, frames = (self.facts.get(name) for name in ("height", "width", "frames"))
        if not (isinstance(height, int) and isinstance(width, int)):
            return 0
        return height * width * (frames if isinstance(frames, int) else 1)


@dataclass(frozen=True)
class Result:
    """The file that came of it, in the job's folder; `facts` as of the source."""

    file: str
    media_type: str
    bytes: int
    sha256: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Steps:
    """How far a job is: `done` of `total` frames or tiles. `total` is None until it has been counted.

    `eta_s` is how long the rest should take, in seconds; None while that is not known, or the job does not run.
    """

    unit: Literal["frames", "tiles"]
    done: int = 0
    total: int | None = None
    eta_s: float | None = None


@dataclass(frozen=True)
class Segment:
    """A finished piece of a job's result, in a file of its own, which a job that is started again need not repeat."""

    number: int
    file: str
    steps: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Job:
    """One job as the database has it. Times are seconds since the epoch."""

    id: str
    kind: Kind
    state: State
    parameters: Facts
    source: Source
    created_at: float
    steps: Steps
    started_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0
    """Starts since a segment was last finished."""
    version: int = 1
    """Grows with every change that its caller can see."""
    waiting_for: str | None = None
    """Why a queued job that was tried before waits: "memory", "disk space", "another try"."""
    problem: Facts | None = None
    """Why it failed, as a problem document."""
    result: Result | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more but that the result expires."""
        return self.state not in UNFINISHED
