"""Progress: a bar with the time that is left, on standard error; and JSON for programs, on standard output."""

import json
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from srserve_client.cli.exits import console


class _Left(ProgressColumn):
    """The time that is left: what the service foretells, else by the speed so far."""

    def __init__(self) -> None:
        super().__init__()
        self._own = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        left_s = task.fields.get("left_s")
        return self._own.render(task) if left_s is None else Text(str(timedelta(seconds=round(left_s))))


class Bar:
    """A bar over `count` pieces of work of different sizes. Nothing is drawn where standard error is no terminal."""

    def __init__(self, label: str, *, count: int | None, quiet: bool = False) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            _Left(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(
            label, total=None, state="" if count is None else f"0/{count}", left_s=None
        )
        self._count = count
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
        self._progress.update(self._task, advance=size, state=f"{self._done}/{self._count}")

    def at(self, done: float, total: float | None, unit: str, *, left_s: float | None = None) -> None:
        """So much is done of what is counted by somebody else."""
        state = f"{done:g}/{total:g} {unit}" if total else unit
        self._progress.update(self._task, completed=done, total=total, state=state, left_s=left_s)

    def say(self, text: str, *, style: str = "") -> None:
        """A line above the bar."""
        self._progress.console.print(text, style=style, markup=False)


def print_json(document: object) -> None:
    """One line on standard output, at once."""
    print(json.dumps(document, default=str), flush=True)
