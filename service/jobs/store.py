"""The jobs' database: SQLite, one writer. What is written here has happened, whatever becomes of the process.

WAL with synchronous=FULL: a commit survives a power cut, too. Every method is one transaction and blocks for some
milliseconds: call them from a thread. Times are seconds since the epoch.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.jobs.record import UNFINISHED, Facts, Job, Kind, Result, Segment, Source, State, Steps

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    parameters TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    unit TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    problem TEXT,
    result TEXT,
    bytes INTEGER NOT NULL,
    idempotency_key TEXT UNIQUE,
    fingerprint TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, created_at);
CREATE TABLE segments (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    steps INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT;
CREATE TABLE starts (at REAL NOT NULL) STRICT;
"""
_COLUMNS = (
    "id, kind, state, parameters, source, created_at, started_at, finished_at, attempts, "
    "unit, done, total, problem, result"
)
_UNFINISHED = ", ".join(f"'{state}'" for state in UNFINISHED)


class JobStore:
    """The database at `path`, made where there is none. Not thread-safe, but not bound to the thread that opened it.

    Raises ValueError for a database of a newer version of this service.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000"):
            self._database.execute(f"PRAGMA {pragma}")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            self._database.close()
            raise ValueError(f"its schema has version {version}, and this service knows {SCHEMA_VERSION}")
        if version == 0:
            self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """Writes the log back into the database."""
        self._database.close()

    # --- the way of a job

    def begin(self, *, now: float) -> int:
        """A process starts: what ran when the last one ended waits again. The number of starts so far."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("INSERT INTO starts VALUES (?)", (now,))
            self._database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            return int(self._value("SELECT count(*) FROM starts"))

    def add(self, job: Job, *, key: str | None = None, fingerprint: str | None = None) -> bool:
        """A new job; False, and nothing written, where the key is another job's."""
        try:
            self._database.execute(
                f"INSERT INTO jobs ({_COLUMNS}, bytes, idempotency_key, fingerprint) VALUES ({', '.join('?' * 17)})",
                (*_row(job), job.source.bytes, key, fingerprint),
            )
        except sqlite3.IntegrityError:
            if key is not None and self.with_key(key) is not None:
                return False
            raise
        return True

    def start(self, job_id: str, *, now: float) -> bool:
        """From queued to running; False if it is not queued (canceled meanwhile)."""
        return self._change(
            "UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?), attempts = attempts + 1 "
            "WHERE id = ? AND state = 'queued'",
            (now, job_id),
        )

    def requeue(self, job_id: str, *, count_attempt: bool) -> bool:
        """From running to queued, to be gone on with; an orderly interruption is no attempt."""
        return self._change(
            "UPDATE jobs SET state = 'queued', attempts = attempts - ? WHERE id = ? AND state = 'running'",
            (0 if count_attempt else 1, job_id),
        )

    def progress(self, job_id: str, steps: Steps) -> None:
        """Notes how far it is."""
        self._change("UPDATE jobs SET done = ?, total = ? WHERE id = ?", (steps.done, steps.total, job_id))

    def succeed(self, job_id: str, result: Result, *, now: float) -> bool:
        """From running to succeeded; False if it is not running (canceled meanwhile). Its segments are forgotten."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            changed = self._change(
                "UPDATE jobs SET state = 'succeeded', result = ?, bytes = ?, finished_at = ?, "
                "done = coalesce(total, done) WHERE id = ? AND state = 'running'",
                (json.dumps(asdict(result)), result.bytes, now, job_id),
            )
            if changed:
                self._database.execute("DELETE FROM segments WHERE job_id = ?", (job_id,))
            return changed

    def fail(self, job_id: str, problem: Facts, *, now: float) -> bool:
        """To failed, if it is unfinished."""
        return self._end(job_id, "failed", now=now, problem=json.dumps(problem, default=str))

    def cancel(self, job_id: str, *, now: float) -> bool:
        """To canceled, if it is unfinished."""
        return self._end(job_id, "canceled", now=now)

    def expire(self, job_id: str) -> bool:
        """From succeeded to expired: its result is gone."""
        return self._change(
            "UPDATE jobs SET state = 'expired', bytes = 0 WHERE id = ? AND state = 'succeeded'", (job_id,)
        )

    def forget(self, job_ids: Iterable[str]) -> None:
        """Removes rows."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM jobs WHERE id = ?", ((job_id,) for job_id in job_ids))

    # --- segments

    def add_segment(self, job_id: str, segment: Segment) -> bool:
        """A piece is finished, in place of one of its number; False if the job is not running any more.

        From here on the job has made progress, so its attempts begin anew.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if not self._change("UPDATE jobs SET attempts = 1 WHERE id = ? AND state = 'running'", (job_id,)):
                return False
            self._database.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)",
                (job_id, segment.number, segment.file, segment.steps, segment.bytes, segment.sha256),
            )
            return True

    def segments(self, job_id: str) -> list[Segment]:
        """The finished pieces, in order."""
        rows = self._rows(
            "SELECT number, file, steps, bytes, sha256 FROM segments WHERE job_id = ? ORDER BY number", (job_id,)
        )
        return [Segment(*row) for row in rows]

    # --- questions

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        return next(iter(self._jobs("WHERE id = ?", (job_id,))), None)

    def with_key(self, key: str) -> tuple[Job, str] | None:
        """The job that was accepted under that Idempotency-Key, and its request's fingerprint."""
        rows = self._rows(f"SELECT {_COLUMNS}, fingerprint FROM jobs WHERE idempotency_key = ?", (key,))
        return (_job(rows[0][:-1]), str(rows[0][-1])) if rows else None

    def next_queued(self, *, kinds: Sequence[Kind], except_for: Sequence[str]) -> Job | None:
        """The one that has waited longest, of these kinds and none of these ids."""
        return next(
            iter(
                self._jobs(
                    f"WHERE state = 'queued' AND kind IN ({_marks(kinds)}) AND id NOT IN ({_marks(except_for)}) "
                    "ORDER BY created_at, id LIMIT 1",
                    (*kinds, *except_for),
                )
            ),
            None,
        )

    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return int(self._value(f"SELECT count(*) FROM jobs WHERE state IN ({_UNFINISHED})"))

    def bytes(self) -> int:
        """Bytes of all files: what came in and is needed still, finished pieces, results."""
        return int(self._value("SELECT (SELECT total(bytes) FROM jobs) + (SELECT total(bytes) FROM segments)"))

    def ids(self) -> set[str]:
        """Of all jobs."""
        return {str(row[0]) for row in self._rows("SELECT id FROM jobs", ())}

    def finished(self, *, before: float | None = None) -> list[Job]:
        """The finished jobs, oldest first; `before` is when they finished at the latest."""
        return self._jobs(
            f"WHERE state NOT IN ({_UNFINISHED}) AND (? IS NULL OR finished_at < ?) ORDER BY finished_at, id",
            (before, before),
        )

    # --- SQL

    def _end(self, job_id: str, state: State, *, now: float, problem: str | None = None) -> bool:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            changed = self._change(
                f"UPDATE jobs SET state = ?, problem = ?, finished_at = ?, bytes = 0 "
                f"WHERE id = ? AND state IN ({_UNFINISHED})",
                (state, problem, now, job_id),
            )
            if changed:
                self._database.execute("DELETE FROM segments WHERE job_id = ?", (job_id,))
            return changed

    def _change(self, sql: str, values: Sequence[object]) -> bool:
        return self._database.execute(sql, values).rowcount > 0

    def _jobs(self, condition: str, values: Sequence[object]) -> list[Job]:
        return [_job(row) for row in self._rows(f"SELECT {_COLUMNS} FROM jobs {condition}", values)]

    def _rows(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with closing(self._database.execute(sql, values)) as cursor:
            return cursor.fetchall()

    def _value(self, sql: str) -> Any:  # noqa: ANN401 - a column of any type
        return self._rows(sql, ())[0][0]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _row(job: Job) -> tuple[object, ...]:
    """In the order of _COLUMNS."""
    return (
        job.id,
        job.kind,
        job.state,
        json.dumps(job.parameters),
        json.dumps(asdict(job.source)),
        job.created_at,
        job.started_at,
        job.finished_at,
        job.attempts,
        job.steps.unit,
        job.steps.done,
        job.steps.total,
        None if job.problem is None else json.dumps(job.problem),
        None if job.result is None else json.dumps(asdict(job.result)),
    )


def _job(row: Sequence[Any]) -> Job:
    job_id, kind, state, parameters, source, created_at, started_at, finished_at, attempts, *rest = row
    unit, done, total, problem, result = rest
    return Job(
        id=job_id,
        kind=kind,
        state=state,
        parameters=json.loads(parameters),
        source=Source(**json.loads(source)),
        created_at=created_at,
        steps=Steps(unit, done, total),
        started_at=started_at,
        finished_at=finished_at,
        attempts=attempts,
        problem=None if problem is None else json.loads(problem),
        result=None if result is None else Result(**json.loads(result)),
    )
