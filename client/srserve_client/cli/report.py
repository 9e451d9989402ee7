"""Report: what became of each picture, for people and for programs, and the exit status that it all comes to."""

from types import TracebackType
from typing import Self

from srserve_client.cli import exits
from srserve_client.cli.plan import Step
from srserve_client.cli.progress import Bar, print_json
from srserve_client.errors import ProblemError, SrserveError
from srserve_client.results import Result

Failure = SrserveError | OSError | ValueError


class Report:
    """Of a run over `total` pictures."""

    def __init__(self, *, total: int, as_json: bool, quiet: bool, address: str) -> None:
        self.status = exits.DONE
        self._total = total
        self._as_json = as_json
        self._address = address
        self._bar = Bar("upscale", count=total, quiet=quiet)
        self._counts = {"done": 0, "skipped": 0, "failed": 0}

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
        left = self._total - sum(self._counts.values())
        summary = ", ".join(f"{count} {name}" for name, count in self._counts.items() if count)
        if left:
            summary = ", ".join(filter(None, [summary, f"{left} left: the same command goes on"]))
        exits.console.print(summary, markup=False)

    def begin(self, total_bytes: int) -> None:
        """So many bytes are to be sent: the time that is left is told by them."""
        self._bar.begin(total_bytes)

    def done(self, step: Step, result: Result) -> None:
        """The result has been written."""
        self._counts["done"] += 1
        self._bar.advance(step.source_bytes)
        self._tell(
            step,
            "done",
            model_version=result.model_version,
            seconds=round(sum(result.timing.values()), 3),
            attempts=result.attempts,
            request_id=result.request_id,
        )

    def skipped(self, step: Step) -> None:
        """It is there already."""
        self._counts["skipped"] += 1
        self._bar.advance(0)
        self._tell(step, "skipped")

    def failed(self, step: Step, error: Failure) -> None:
        """It could not be made."""
        self._counts["failed"] += 1
        self.status = max(self.status, exits.status_of(error))
        self._bar.advance(0 if isinstance(error, OSError | ValueError) else step.source_bytes)
        if not self._as_json:
            self._bar.say(f"{step.source}: {exits.explain(error, base_url=self._address)}", style="red")
        self._tell(step, "failed", error=error_document(error))

    def _tell(self, step: Step, status: str, **facts: object) -> None:
        if self._as_json:
            print_json({"input": str(step.source), "output": str(step.target), "status": status, **facts})


def error_document(error: Failure) -> dict[str, object]:
    """An error for programs."""
    if isinstance(error, ProblemError):
        facts = {"code": error.code, "status": error.status, "request_id": error.request_id}
        return {**facts, "detail": error.detail, "limit": error.limit, "actual": error.actual}
    return {"code": type(error).__name__, "detail": str(error)}
