"""Download: a job's result into a file, over as many connections as it takes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from srserve_client.aio import io
from srserve_client.aio.exchange import Exchange, connection_errors
from srserve_client.calls import result_call
from srserve_client.deadlines import PATIENCE_S, RECONNECT_S, STALL_S, Deadline
from srserve_client.errors import ConnectionFailed, UnexpectedAnswer
from srserve_client.job import Job, JobFile

PARTIAL_CONTENT = 206

OnProgress = Callable[[int, int], object] | None


@dataclass(frozen=True)
class Download:
    """One file of a job that has succeeded, to `path`. What has come lies beside it, under the job's name."""

    exchange: Exchange
    job: Job
    path: Path

    async def run(self, on_progress: OnProgress) -> Path:
        """Fetch what is missing, check the whole, and put it in its place; the path."""
        assert self.job.result is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name[:150]}.{self.job.id}.part")
        was_begun = part.exists()
        await self._complete(part, self.job.result, on_progress)
        if was_begun and not await io.in_thread(_is_whole, part, self.job.result):
            part.unlink()  # what lay there was no beginning of this file
            await self._complete(part, self.job.result, on_progress)
        if not await io.in_thread(_is_whole, part, self.job.result):
            part.unlink()
            raise UnexpectedAnswer(f"The result of job {self.job.id} does not have the digest that the job names.")
        part.replace(self.path)
        return self.path

    async def _complete(self, part: Path, result: JobFile, on_progress: OnProgress) -> None:
        patience = Deadline(PATIENCE_S)
        while True:
            before = _size(part)
            try:
                await self._fetch_rest(part, result, on_progress)
            except ConnectionFailed:
                if _size(part) > before:
                    patience = Deadline(PATIENCE_S)
                if not patience.allows(RECONNECT_S):
                    raise
                await io.sleep(RECONNECT_S)
            else:
                return

    async def _fetch_rest(self, part: Path, result: JobFile, on_progress: OnProgress) -> None:
        """One connection's worth. Raises ConnectionFailed where it breaks."""
        there = _size(part)
        if there >= result.bytes:
            return
        deadline = Deadline(None, stall_s=STALL_S)
        call = result_call(self.job.id, offset=there, etag=f'"{result.sha256}"')
        async with self.exchange.stream(call, deadline) as response:
            goes_on = response.status_code == PARTIAL_CONTENT
            there = there if goes_on else 0
            errors = connection_errors(deadline, response.request.headers["x-request-id"])
            with part.open("ab" if goes_on else "wb") as file, errors:
                async for chunk in response.aiter_bytes():
                    await io.in_thread(file.write, chunk)
                    there += len(chunk)
                    if on_progress is not None:
                        on_progress(there, result.bytes)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_whole(path: Path, result: JobFile) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == result.sha256
