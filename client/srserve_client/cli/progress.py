"""Progress: a bar with the time that is left, on standard error; and JSON for programs, on standard output."""

import json
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from srserve_client.cli.exits import console


class Bar:
    """A bar over `count` pieces of work of different sizes. Nothing is drawn where standard error is no terminal."""

    def __init__(self, label: str, *, count: int | None, quiet: bool = False) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}/{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=None, done=0, count=count)
        self._done = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, total: float) -> None:
        """All the pieces together have the size `total`: the time that is left is told by it."""
        self._progress.update(self._task, total=total)

    def advance(self, size: float) -> None:
        """One more piece, of `size`."""
        self._done += 1
        self._progress.update(self._task, advance=size, done=self._done)

    def say(self, text: str, *, style: str = "") -> None:
        """A line above the bar."""
        self._progress.console.print(text, style=style, markup=False)


def print_json(document: object) -> None:
    """One line on standard output, at once."""
    print(json.dumps(document, default=str), flush=True)
