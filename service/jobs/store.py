"""The jobs' database: SQLite. What is written here has happened, whatever becomes of the process.

Several processes may share it, on one machine. WAL with synchronous=FULL: a commit survives a power cut, too. Every
method is one transaction and blocks for some milliseconds: call them from a thread. Times are seconds since the epoch.
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
    unit TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    eta_s REAL,
    started_at REAL,
    finished_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,
    waiting_for TEXT,
    problem TEXT,
    result TEXT,
    not_before REAL NOT NULL DEFAULT 0,
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
"""
_COLUMNS = (
    "id, kind, state, parameters, source, created_at, unit, done, total, eta_s, "
    "started_at, finished_at, attempts, version, waiting_for, problem, result"
)
_UNFINISHED = ", ".join(f"'{state}'" for state in UNFINISHED)
_STOPPED = "eta_s = NULL, version = version + 1"


class JobStore:
    """The database at `path`, made where there is none. Not thread-safe, but not bound to the thread that opened it.

    Raises ValueError for a database of a newer version of this service, sqlite3.Error for what is none.
    """

    def __init__(self, path: Path) -> None:
        self._database = _connect(path, synchronous="FULL")
        self._notes = _connect(path, synchronous="NORMAL")  # how far a job was is no loss, and a note shall not wait
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ValueError(f"its schema has version {version}, and this service knows {SCHEMA_VERSION}")
        self._database.execute("PRAGMA journal_mode = WAL")
        if version == 0:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                if self._value("PRAGMA user_version") == 0:  # no other process was faster
                    for statement in _SCHEMA.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """The last one to close writes the log back into the database."""
        self._notes.close()
        self._database.close()

    # --- the way of a job

    def add(self, job: Job, *, key: str | None = None, fingerprint: str | None = None) -> bool:
        """A new job; False, and nothing written, where the key is another job's."""
        try:
            self._database.execute(
                f"INSERT INTO jobs ({_COLUMNS}, bytes, idempotency_key, fingerprint) VALUES ({', '.join('?' * 20)})",
                (*_row(job), job.source.bytes, key, fingerprint),
            )
        except sqlite3.IntegrityError:
            if key is not None and self.with_key(key) is not None:
                return False
            raise
        return True

    def start(self, job_id: str, *, now: float) -> bool:
        """From queued to running; False if it is not queued (canceled, or another process was faster)."""
        return self._change(
            "UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?), attempts = attempts + 1, "
            f"waiting_for = NULL, {_STOPPED} WHERE id = ? AND state = 'queued'",
            (now, job_id),
        )

    def requeue(
        self, job_id: str, *, count_attempt: bool, not_before: float = 0.0, waiting_for: str | None = None
    ) -> bool:
        """From running to queued, to be gone on with. An orderly interruption is no attempt."""
        return self._change(
            f"UPDATE jobs SET state = 'queued', attempts = attempts - ?, not_before = ?, waiting_for = ?, {_STOPPED} "
            "WHERE id = ? AND state = 'running'",
            (0 if count_attempt else 1, not_before, waiting_for, job_id),
        )

    def note(self, job_id: str, steps: Steps) -> bool:
        """How far it is; False if it is not running any more."""
        with closing(
            self._notes.execute(
                "UPDATE jobs SET done = ?, total = ?, eta_s = ?, version = version + 1 "
                "WHERE id = ? AND state = 'running'",
                (steps.done, steps.total, steps.eta_s, job_id),
            )
        ) as cursor:
            return cursor.rowcount > 0

    def succeed(self, job_id: str, result: Result, *, now: float) -> bool:
        """From running to succeeded; False if it is not running (canceled meanwhile). Its segments are forgotten."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            changed = self._change(
                f"UPDATE jobs SET state = 'succeeded', result = ?, bytes = ?, finished_at = ?, {_STOPPED} "
                "WHERE id = ? AND state = 'running'",
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
        """From succeeded to expired: its result is to go."""
        return self._change(
            f"UPDATE jobs SET state = 'expired', bytes = 0, {_STOPPED} WHERE id = ? AND state = 'succeeded'", (job_id,)
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

    def next_queued(self, *, kinds: Sequence[Kind], now: float) -> Job | None:
        """The one of these kinds that has waited longest, and waits for nothing else."""
        return next(
            iter(
                self._jobs(
                    f"WHERE state = 'queued' AND not_before <= ? AND kind IN ({', '.join('?' * len(kinds))}) "
                    "ORDER BY created_at, id LIMIT 1",
                    (now, *kinds),
                )
            ),
            None,
        )

    def running(self) -> list[str]:
        """The ids of the jobs that run, or ran when their process was killed."""
        return [str(row[0]) for row in self._rows("SELECT id FROM jobs WHERE state = 'running'", ())]

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
                f"UPDATE jobs SET state = ?, problem = ?, finished_at = ?, bytes = 0, waiting_for = NULL, {_STOPPED} "
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


def _connect(path: Path, *, synchronous: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (f"synchronous = {synchronous}", "foreign_keys = ON", "busy_timeout = 5000"):
        database.execute(f"PRAGMA {pragma}")
    return database


def _row(job: Job) -> tuple[object, ...]:
    """In the order of _COLUMNS."""
    return (
        job.id,
        job.kind,
        job.state,
        json.dumps(job.parameters),
        json.dumps(asdict(job.source)),
        job.created_at,
        *(job.steps.unit, job.steps.done, job.steps.total, job.steps.eta_s),
        *(job.started_at, job.finished_at, job.attempts, job.version, job.waiting_for),
        None if job.problem is None else json.dumps(job.problem),
        None if job.result is None else json.dumps(asdict(job.result)),
    )


def _job(row: Sequence[Any]) -> Job:
    job_id, kind, state, parameters, source, created_at, unit, done, total, eta_s, *rest = row
    started_at, finished_at, attempts, version, waiting_for, problem, result = rest
    return Job(
        id=job_id,
        kind=kind,
        state=state,
        parameters=json.loads(parameters),
        source=Source(**json.loads(source)),
        created_at=created_at,
        steps=Steps(unit, done, total, eta_s),
        started_at=started_at,
        finished_at=finished_at,
        attempts=attempts,
        version=version,
        waiting_for=waiting_for,
        problem=None if problem is None else json.loads(problem),
        result=None if result is None else Result(**json.loads(result)),
    )
