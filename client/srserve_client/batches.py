"""Batches: what comes back for each picture of many."""

from dataclasses import dataclass

from srserve_client.errors import SrserveError
from srserve_client.pictures import Picture
from srserve_client.results import Result


@dataclass(frozen=True)
class BatchItem:
    """One picture of a batch: its place in what was given, and its result or its error."""

    index: int
    picture: Picture
    result: Result | None = None
    error: SrserveError | OSError | ValueError | None = None

    def unwrap(self) -> Result:
        """The result. Raises the error, where there is none."""
        if self.result is None:
            assert self.error is not None
            raise self.error
        return self.result
