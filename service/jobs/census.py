"""Census: how many jobs there are and what their files take, read beside the one thread that changes them.

For the metrics, which are read in the event loop: a connection of its own that only reads, opened each time. In WAL
mode (SQLite's) it waits for nobody, and nobody for it.
"""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

from service.jobs.record import State


class Census:
    """Of the jobs in `database`, those of all processes that share it. NaN where it cannot be read."""

    def __init__(self, database: Path) -> None:
        self._url = f"{database.absolute().as_uri()}?mode=ro"

    def jobs(self, state: State) -> float:
        """How many are in that state."""
        return self._number("SELECT count(*) FROM jobs WHERE state = ?", state)

    def bytes(self) -> float:
        """Bytes of all files, as store.py counts them."""
        return self._number("SELECT (SELECT total(bytes) FROM jobs) + (SELECT total(bytes) FROM segments)")

    def _number(self, sql: str, *values: str) -> float:
        try:
            with closing(sqlite3.connect(self._url, uri=True, timeout=0.1)) as database:
                return float(database.execute(sql, values).fetchone()[0])
        except sqlite3.Error:
            return math.nan
