"""The jobs' folder: the database, and for each job a folder of its own with what came in, the pieces, what came out.

jobs.sqlite3        see store.py
lock                held by the one process that works here
incoming/<id>/      an upload that is under way; nothing was promised for it
<id>/input          what was sent
<id>/...            pieces and the result, as the job's task names them
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

INPUT = "input"
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def is_job_id(text: str) -> bool:
    """Whether `text` could be a job's id, so that it can be part of a path."""
    return _JOB_ID.fullmatch(text) is not None


def new_job_id() -> str:
    """128 random bits: who knows the id may see the job, and nobody else finds it."""
    return secrets.token_hex(16)


class JobFolder:
    """The folder at `path`, made where there is none, held until `close`.

    Raises OSError where it cannot be made or written, BlockingIOError where another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self._incoming = path / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(mode=0o700)

    @property
    def database(self) -> Path:
        """Where the database lies."""
        return self.path / "jobs.sqlite3"

    def of(self, job_id: str) -> Path:
        """The job's own folder."""
        return self.path / job_id

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
        """What came in is not wanted, complete or not."""
        shutil.rmtree(self._incoming / job_id, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """All of the job's files."""
        shutil.rmtree(self.of(job_id), ignore_errors=True)

    def remove_all_but(self, job_ids: Iterable[str]) -> list[str]:
        """Removes folders that belong to no job, left by a process that was killed in between; their names."""
        known = set(job_ids)
        strays = [entry.name for entry in self.path.iterdir() if is_job_id(entry.name) and entry.name not in known]
        for name in strays:
            self.remove(name)
        return strays

    def free_bytes(self) -> int:
        """What the disk has left."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Another process may come."""
        os.close(self._lock)

    def _take_lock(self) -> int:
        """A descriptor, and not a file, for it is to be held whether or not anybody remembers to close it."""
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock


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
