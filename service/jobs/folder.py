"""The jobs' folder: the database, and for each job a folder of its own with what came in, the pieces, what came out.

    jobs.sqlite3            see store.py
    incoming/<process>/<id>/input    an upload that is under way; nothing was promised for it
    <id>/input              what was sent
    <id>/lock               held by the process that runs the job
    <id>/...                pieces and the result, as the job's task names them

Processes of one machine may share it. Locks are the kernel's (flock): those of a process that was killed are free.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

DATABASE = "jobs.sqlite3"
INPUT = "input"
LOCK = "lock"
STRAY_AGE_S = 600.0  # a folder of no job is one that another process is about to write down, unless it is so old
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def new_job_id() -> str:
    """128 random bits: who knows the id may see the job, and nobody else finds it."""
    return secrets.token_hex(16)


class JobFolder:
    """The folder at `path`, made where there is none. Raises OSError where it cannot be made or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming = path / "incoming" / secrets.token_hex(8)
        self._incoming.mkdir(mode=0o700, parents=True)
        lock = _lock(self._incoming / LOCK)
        assert lock is not None, "nobody knows this folder yet"
        self._lock = lock

    @property
    def database(self) -> Path:
        """Where the database lies."""
        return self.path / DATABASE

    def of(self, job_id: str) -> Path:
        """The job's own folder."""
        return self.path / job_id

    # --- uploads

    def begin_upload(self, job_id: str) -> BinaryIO:
        """A file for what comes in, to be filled and given to `finish_upload` or `drop_upload`."""
        folder = self._incoming / job_id
        folder.mkdir(mode=0o700)
        return (folder / INPUT).open("wb")

    def upload_of(self, job_id: str) -> Path:
        """The file of an upload that is under way."""
        return self._incoming / job_id / INPUT

    def finish_upload(self, job_id: str, file: BinaryIO) -> None:
        """What came in is complete: it lies in the job's folder and stays there, after a power cut too."""
        with file:
            file.flush()
            os.fsync(file.fileno())
        (self._incoming / job_id).rename(self.of(job_id))
        sync_folder(self.of(job_id))
        sync_folder(self.path)

    def drop_upload(self, job_id: str) -> None:
        """What came in is not wanted, complete or not; nothing happens if it was finished."""
        shutil.rmtree(self._incoming / job_id, ignore_errors=True)

    # --- who runs what

    def lock(self, job_id: str) -> int | None:
        """The right to run the job, to be given to `unlock`; None where another process has it, or the files are gone.

        Nobody gets it twice, this process neither.
        """
        return _lock(self.of(job_id) / LOCK)

    def unlock(self, lock: int) -> None:
        """Others may run the job."""
        os.close(lock)

    # --- letting go

    def remove(self, job_id: str) -> None:
        """All of the job's files."""
        shutil.rmtree(self.of(job_id), ignore_errors=True)

    def remove_all_but(self, job_ids: Iterable[str], *, now: float | None = None) -> list[str]:
        """Removes folders that belong to no job, left by processes that were killed in between; their names."""
        known = set(job_ids)
        old = (time.time() if now is None else now) - STRAY_AGE_S
        strays = []
        for entry in self.path.iterdir():
            if _JOB_ID.fullmatch(entry.name) and entry.name not in known and entry.stat().st_mtime < old:
                shutil.rmtree(entry, ignore_errors=True)
                strays.append(entry.name)
        for process in (self.path / "incoming").iterdir():
            lock = None if process == self._incoming else _lock(process / LOCK)
            if lock is not None:  # whose process is no more
                shutil.rmtree(process, ignore_errors=True)
                os.close(lock)
        return strays

    def free_bytes(self) -> int:
        """What the disk has left."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """No more uploads."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        os.close(self._lock)


def sha256_of(path: Path) -> str:
    """The hex digest of the file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Returns when the file and its name are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Returns when the names in the folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A locked descriptor; None where somebody else has the lock, or there is no such folder."""
    descriptor = -1
    with contextlib.suppress(FileNotFoundError, BlockingIOError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    if descriptor >= 0:
        os.close(descriptor)
    return None
