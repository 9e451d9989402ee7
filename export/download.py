"""One file over HTTP into a folder: resumed, retried, verified, and there under its name only when all of it is right.

    FOLDER/NAME.partial        what has come so far; kept when the connection or the user gives up
    FOLDER/NAME.partial.etag   which version of the file that is: its strong ETag or its date
    FOLDER/NAME                the whole file, with the digest that was promised

A range is only asked for together with If-Range (RFC 9110, section 13.1.5), so that two versions are never mixed;
without a version to name, the download begins again.
"""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from io import FileIO
from pathlib import Path

import httpx2

from export.errors import DownloadFailed
from export.importers.files import file_sha256

MOST_BYTES = 2**30  # the largest official file has 175 MB; a server that sends more sends something else
ATTEMPTS = 5  # in a row that bring less than LEAST_PROGRESS bytes
LEAST_PROGRESS = 2**16
LONGEST_WAIT_S = 60.0
TIMEOUT = httpx2.Timeout(30.0)
PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another one in a moment
PASSING_ERRORS = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
)
FULL = {errno.ENOSPC, errno.EDQUOT}
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")

Meter = Callable[[int, int | None], None]  # bytes that are there, bytes that there will be (None: not said)


@dataclass(frozen=True)
class Remote:
    """A file at `url` whose sha256 begins with `sha256_prefix` (lowercase hexadecimal)."""

    url: str
    name: str
    sha256_prefix: str


class _Again(Exception):
    """This attempt has failed in a way that another may not; `wait_s` is what the server asks for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def download(
    remote: Remote,
    folder: Path,
    *,
    client: httpx2.Client,
    meter: Meter = lambda done, total: None,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """The path of the file in `folder`, which is made where missing; nothing is sent if the right file is there.

    `wait` sleeps between attempts: 1 s, doubled each time, or what the server's Retry-After says, at most a minute.

    Raises:
        DownloadFailed: the server has no such file, or answers nothing useful in `ATTEMPTS` attempts; another file
            than promised; a full disk; another download into `folder` is running. Only in the first and last case
            something stays: what has come so far, for the next call.
        OSError: `folder` cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / remote.name
    with _only_one(folder):
        if target.exists():
            if file_sha256(target).startswith(remote.sha256_prefix):
                return target
            target.unlink()  # damaged since
        partial = _Partial(target.with_name(target.name + ".partial"))
        try:
            resumed = _complete(remote, partial, client, meter, wait)
            if resumed and not partial.sha256().startswith(remote.sha256_prefix):
                partial.clear()  # a server that ignores If-Range has mixed two versions
                _complete(remote, partial, client, meter, wait)
            sha256 = partial.sha256()
        except DownloadFailed:
            if partial.size == 0:
                partial.remove()
            raise
        except OSError as error:
            if error.errno not in FULL:
                raise
            size = partial.size
            partial.remove()
            raise DownloadFailed(
                f"{folder}: the disk was full after {size} bytes of {remote.name}; they are removed. Make room, or "
                "choose another folder (--cache)"
            ) from error
        if not sha256.startswith(remote.sha256_prefix):
            size = partial.size
            partial.remove()
            raise DownloadFailed(
                f"{remote.url}: the {size} bytes that came have a sha256 that begins with "
                f"{sha256[: len(remote.sha256_prefix)]}, not with {remote.sha256_prefix}: not the published file. "
                "Nothing was kept"
            )
        partial.publish(target)
    return target


def make_client() -> httpx2.Client:
    """Follows redirects, and proxies that the environment names (HTTPS_PROXY, NO_PROXY)."""
    return httpx2.Client(
        headers={"User-Agent": f"srserve/{version('srserve')}", "Accept-Encoding": "identity"},
        follow_redirects=True,
        timeout=TIMEOUT,
    )


class _Partial:
    """The part of a file that has come, and which version of the file it is a part of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version_path = path.with_name(path.name + ".etag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def sha256(self) -> str:
        return file_sha256(self.path)

    def version(self) -> str | None:
        """What If-Range takes; None where nothing has come, or nothing was said."""
        if self.size == 0 or not self.version_path.exists():
            return None
        return self.version_path.read_text() or None

    def begin(self, version: str | None) -> None:
        """Forgets what has come: a body follows from its first byte."""
        self.clear()
        if version is not None:
            self.version_path.write_text(version)

    def clear(self) -> None:
        self.version_path.unlink(missing_ok=True)
        if self.size:
            os.truncate(self.path, 0)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.version_path.unlink(missing_ok=True)

    def publish(self, target: Path) -> None:
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.version_path.unlink(missing_ok=True)


def _complete(
    remote: Remote, partial: _Partial, client: httpx2.Client, meter: Meter, wait: Callable[[float], None]
) -> bool:
    """Receives until the server says that this was all; whether any of it had come before the last request."""
    fruitless = 0
    while True:
        before = partial.size
        try:
            return _receive(remote, partial, client, meter)
        except (_Again, *PASSING_ERRORS) as error:
            fruitless = 0 if partial.size - before >= LEAST_PROGRESS else fruitless + 1
            reason = str(error) or type(error).__name__
            if fruitless == ATTEMPTS:
                kept = (
                    f"; the {partial.size} bytes that came are kept, and the next call goes on" if partial.size else ""
                )
                raise DownloadFailed(f"{remote.url}: given up after {ATTEMPTS} attempts: {reason}{kept}") from error
            asked = error.wait_s if isinstance(error, _Again) else None
            wait(min(2.0 ** max(fruitless - 1, 0) if asked is None else asked, LONGEST_WAIT_S))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadFailed(f"{remote.url}: {error or type(error).__name__}") from error


def _receive(remote: Remote, partial: _Partial, client: httpx2.Client, meter: Meter) -> bool:
    """One request, from where the last one ended; whether it went on rather than begin again.

    Raises:
        _Again: the answer is incomplete, or another one is to be expected.
        DownloadFailed: the answer is final.
    """
    known, there = partial.version(), partial.size
    headers = {"Range": f"bytes={there}-", "If-Range": known} if known is not None else {}
    with client.stream("GET", remote.url, headers=headers) as answer:
        if answer.url.scheme != "https" and httpx2.URL(remote.url).scheme == "https":
            raise DownloadFailed(f"{remote.url}: leads to {answer.url}, which is not encrypted; not followed")
        if answer.status_code == 206 and known is not None:
            total = _range_total(answer, partial, there)
        elif answer.status_code == 200:
            there, total = 0, _length(answer)
            partial.begin(_version(answer))
        elif answer.status_code == 416:
            partial.clear()
            raise _Again("416: the file is shorter than what has come of it")
        elif answer.status_code in PASSING:
            raise _Again(_status(answer), _retry_after_s(answer))
        else:
            raise DownloadFailed(
                f"{remote.url}: {_status(answer)}. If the file has moved: `python -m export import` takes it from "
                "wherever you find it, and checks the digest in its name"
            )
        _check_size(remote, partial, there, total)
        meter(there, total)
        with FileIO(partial.path, "a") as file:
            for chunk in answer.iter_raw():  # without a chunk size, which would hold bytes back when the line is cut
                _write(file, chunk)
                there += len(chunk)
                if there > (MOST_BYTES if total is None else total):
                    partial.clear()
                    raise DownloadFailed(f"{remote.url}: sends more than the {total or MOST_BYTES} bytes expected")
                meter(there, total)
    if total is not None and there != total:
        raise _Again(f"the answer ended after {there} of {total} bytes")
    return answer.status_code == 206


def _write(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:  # unbuffered, so that what is counted as there is there; such a write may take a part only
        rest = rest[file.write(rest) :]


def _range_total(answer: httpx2.Response, partial: _Partial, there: int) -> int | None:
    """The size of the whole file, from an answer with the rest of it.

    Raises:
        _Again: it is another part than was asked for; the next request is for the whole.
    """
    found = RANGE.match(answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != there:
        partial.clear()
        raise _Again(f"asked for bytes from {there} on, got {answer.headers.get('Content-Range')!r}")
    return int(found[2]) + 1 if found[3] == "*" else int(found[3])


def _check_size(remote: Remote, partial: _Partial, there: int, total: int | None) -> None:
    if total is None:
        return
    if total > MOST_BYTES:
        raise DownloadFailed(f"{remote.url}: has {total} bytes, more than the {MOST_BYTES} that weights may have")
    free = shutil.disk_usage(partial.path.parent).free
    if total - there > free:
        raise DownloadFailed(
            f"{partial.path.parent}: has {free} bytes free, and {total - there} of {remote.name} are still to come. "
            "Make room, or choose another folder (--cache)"
        )


def _length(answer: httpx2.Response) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _version(answer: httpx2.Response) -> str | None:
    """What If-Range may name: a strong ETag, or the date."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified")


def _retry_after_s(answer: httpx2.Response) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    said = answer.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return None


def _status(answer: httpx2.Response) -> str:
    return f"the server answers {answer.status_code} {answer.reason_phrase}".rstrip()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two downloads into one folder would write the same bytes twice into one file; the system ends the lock with us.

    Raises:
        DownloadFailed: another process has the lock.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadFailed(f"{folder}: another download is running; wait for it to end") from error
        yield
