"""From the catalogue to files in the cache: what `python -m export fetch` does before it imports them."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from export.catalogue import CATALOGUE, Entry
from export.download import Meter, Remote, download, make_client
from export.errors import ExportError
from export.importers.files import DIGEST_IN_NAME


def find(name: str) -> Entry:
    """The entry of that name.

    Raises:
        ExportError: there is none.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in CATALOGUE)
    raise ExportError(f"{name!r} is not in the catalogue: {names}")


def default_cache() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/srserve, or ~/.cache/srserve."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "srserve")


def fetch(
    entry: Entry, *, scale: int | None, cache: Path, mirror: str | None = None, report: Callable[[str], None]
) -> list[Path]:
    """Downloads the files of `entry`, or the one for `scale`, from its publisher or from a mirror with the same names.

    All are in `cache` and verified when this returns; what is there already is not downloaded again.

    Raises:
        ExportError: no such scale, or a download failed.
        OSError: `cache` cannot be written to.
    """
    names = [name for name, scales in entry.files.items() if scale in (None, *scales)]
    if not names:
        offered = ", ".join(f"x{offered}" for offered in entry.scales)
        raise ExportError(f"{entry.name}: is for {offered}, not for x{scale}")
    base = (mirror or entry.url).rstrip("/")
    paths = []
    with make_client() as client:
        for name in names:
            remote = Remote(f"{base}/{name}", name, _digest(name))
            with _bar(name) as meter:
                path = download(remote, cache, client=client, meter=meter)
            report(f"{path}: {path.stat().st_size} bytes, sha256 {remote.sha256_prefix}... as published")
            paths.append(path)
    return paths


def listing() -> str:
    """The catalogue, a line for each entry."""
    width = max(len(entry.name) for entry in CATALOGUE)
    return "\n".join(
        f"{entry.name:{width}}  {', '.join(f'x{scale}' for scale in entry.scales)}  {entry.title}; "
        f"licence {entry.licence}; {entry.url}/"
        for entry in CATALOGUE
    )


def _digest(name: str) -> str:
    found = DIGEST_IN_NAME.search(name)
    if found is None:
        raise ValueError(f"{name} has no digest in its name")
    return found[1]


@contextmanager
def _bar(name: str) -> Iterator[Meter]:
    """A progress bar on stderr, if that is a terminal."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
