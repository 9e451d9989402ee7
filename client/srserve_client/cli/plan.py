"""Plan: which files become which, and which of them are there already, made the same way from the same picture.

A folder of results holds a record of how each was made, `.srserve.jsonl`: one JSON object a line, the last one counts.
Results are written whole or not at all, so a run that was stopped goes on where it was.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECORD = ".srserve.jsonl"
READ_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".avif", ".tif", ".tiff", ".bmp"})
FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".avif": "avif",
    ".tif": "tiff",
    ".tiff": "tiff",
}
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif", "tiff": ".tif"}


@dataclass(frozen=True)
class Step:
    """One file to be made from another."""

    source: Path
    target: Path

    @property
    def source_bytes(self) -> int:
        """The source's size."""
        return self.source.stat().st_size


def plan(inputs: Iterable[Path], output: Path, *, suffix: str, to_folder: bool) -> list[Step]:
    """What becomes what: a folder's pictures keep their places under `output`.

    Raises FileNotFoundError for an input that is not there, ValueError for one that would overwrite itself, for two
    that would become one file, and for a folder without pictures.
    """
    steps: dict[Path, Step] = {}
    for given in inputs:
        for source, place in _pictures(given):
            target = output / place.with_suffix(suffix) if to_folder else output
            step = Step(source, target)
            if target.exists() and target.samefile(source):
                raise ValueError(f"{source} would be overwritten by its own result: choose another --output")
            if target in steps:
                raise ValueError(f"{steps[target].source} and {source} would both become {target}: give them apart")
            steps[target] = step
    return list(steps.values())


def _pictures(given: Path) -> list[tuple[Path, Path]]:
    """The files of one input, each with its place below the output folder."""
    if not given.is_dir():
        if not given.exists():
            raise FileNotFoundError(f"{given} is not there")
        return [(given, Path(given.name))]
    found = sorted(path for path in given.rglob("*") if path.is_file() and path.suffix.lower() in READ_SUFFIXES)
    if not found:
        raise ValueError(f"{given} holds no picture ({', '.join(sorted(READ_SUFFIXES))})")
    return [(path, path.relative_to(given)) for path in found]


class Record:
    """How the results in one folder were made."""

    def __init__(self, folder: Path, parameters: Mapping[str, object]) -> None:
        self._path = folder / RECORD
        self._folder = folder
        self._parameters = dict(parameters)
        self._made = _last_lines(self._path)

    def is_done(self, step: Step) -> bool:
        """Whether the result is there, made with these parameters from the source as it is now."""
        return step.target.exists() and self._made.get(self._name(step)) == self._facts(step)

    def add(self, step: Step) -> None:
        """The result has been written."""
        facts = self._facts(step)
        self._made[self._name(step)] = facts
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"output": self._name(step), **facts}) + "\n")

    def _name(self, step: Step) -> str:
        return step.target.relative_to(self._folder).as_posix()

    def _facts(self, step: Step) -> dict[str, object]:
        stat = step.source.stat()
        return {
            "input": str(step.source.resolve()),
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "parameters": self._parameters,
        }


def _last_lines(path: Path) -> dict[str, dict[str, object]]:
    """The facts by output; a line that a stopped run left half written is passed over."""
    made = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                facts = json.loads(line)
                made[facts.pop("output")] = facts
            except (ValueError, KeyError, AttributeError):
                continue
    return made
