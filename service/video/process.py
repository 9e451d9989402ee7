"""Child processes: started for one command, talked to through pipes, killed when nobody wants their answer any more.

A child reads a file that somebody sent. It gets no environment, no descriptors but its pipes, little memory, and no
time beyond what it needs from one message to the next.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeVar, cast

import structlog
from numpy.typing import NDArray

import service
from service.errors import (
    InternalError,
    OutputTooLarge,
    ServiceError,
    StorageFull,
    TooManyPixels,
    UndecodableVideo,
    UnsupportedMedia,
    UnsupportedVideo,
)
from service.video import wire

T = TypeVar("T")

Command = Literal["probe", "decode", "encode", "mux"]
LAST_WORDS_BYTES = 2000
_FAULTS: dict[str, type[ServiceError]] = {
    kind.code: kind
    for kind in (StorageFull, OutputTooLarge, TooManyPixels, UndecodableVideo, UnsupportedMedia, UnsupportedVideo)
}

log = structlog.get_logger("service")


@dataclass(frozen=True)
class ChildLimits:
    """`memory_bytes` of address space, `file_bytes` of any file that is written, `patience_s` between two messages."""

    memory_bytes: int
    file_bytes: int
    patience_s: float = 120.0


class Child:
    """One child process; `async with` ends it, whatever it is doing."""

    def __init__(
        self, command: Command, process: "subprocess.Popen[bytes]", words: BinaryIO, limits: ChildLimits
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._command = command
        self._process = process
        self._words = words
        self._limits = limits
        self._to = cast(BinaryIO, process.stdin)
        self._from = cast(BinaryIO, process.stdout)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix=f"{command}-to")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix=f"{command}-from")
        self._fault: ServiceError | None = None

    @classmethod
    async def start(cls, command: Command, orders: Mapping[str, Any], limits: ChildLimits) -> Self:
        """Starts it and gives its orders."""
        words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __aexit__
        process = await asyncio.to_thread(_start, command, words)
        child = cls(command, process, words, limits)
        bounds = {"memory_bytes": limits.memory_bytes, "file_bytes": limits.file_bytes}
        try:
            await child.send_document(wire.HELLO, {**orders, "limits": bounds})
        except BaseException:
            await child.__aexit__()
            raise
        return child

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kills it if it still runs, and returns when it is gone."""
        self._process.kill()
        await asyncio.shield(asyncio.to_thread(self._bury))

    def _bury(self) -> None:
        self._process.wait()
        for pool in (self._writing, self._reading):
            pool.shutdown()  # what was blocked on a pipe has noticed
        for pipe in (self._from, self._words):
            pipe.close()
        with suppress(BrokenPipeError):  # what was not flushed will not be read
            self._to.close()

    # --- talking

    async def send(self, kind: bytes, *contents: bytes | memoryview) -> None:
        """Raises what ended the child, if it has ended."""
        await self._write(lambda: wire.send(self._to, kind, *contents))

    async def send_document(self, kind: bytes, document: Mapping[str, Any]) -> None:
        """As `send`, JSON."""
        await self._write(lambda: wire.send_document(self._to, kind, document))

    async def _write(self, send: Callable[[], None]) -> None:
        """A child that has gone may have said why, and what it said may not have been read yet."""
        try:
            await self._in_time(self._writing, send)
        except InternalError:
            while self._fault is None:
                try:
                    await self.receive()
                except ServiceError:
                    break
            if self._fault is not None:
                raise self._fault from None
            raise

    async def receive(self) -> tuple[bytes, dict[str, Any]]:
        """The next message, which is JSON. Raises what it tells to have gone wrong, or what ended the child."""
        while True:
            kind, document = await self._in_time(self._reading, self._read_document)
            if kind != wire.PULSE:
                return self._checked(kind, document)

    async def receive_frame(self, frame: NDArray[Any]) -> tuple[int, int, bool] | dict[str, Any]:
        """(timestamp, duration, whether a cut lies before it), and the pixels in `frame`; or the END's document."""

        def read() -> tuple[bytes, Any]:
            while True:
                kind, size = wire.receive_head(self._from)
                if kind != wire.PULSE:
                    break
            if kind != wire.FRAME:
                return kind, wire.receive_document(self._from, size)
            pts, duration, is_cut = wire.FRAME_HEAD.unpack(wire.receive_exactly(self._from, wire.FRAME_HEAD.size))
            wire.receive_into(self._from, frame.data.cast("B"))
            return kind, (pts, duration, bool(is_cut))

        kind, content = await self._in_time(self._reading, read)
        if kind == wire.FAULT:
            self._checked(kind, content)
        return content  # type: ignore[no-any-return]

    def _read_document(self) -> tuple[bytes, dict[str, Any]]:
        kind, size = wire.receive_head(self._from)
        return kind, wire.receive_document(self._from, size) if size else {}

    def _checked(self, kind: bytes, document: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        if kind == wire.FAULT:
            fault = _FAULTS.get(document["code"], InternalError)
            if fault is InternalError:
                log.error("a video process failed", command=self._command, detail=document["detail"])
                raise InternalError("The video could not be processed.")
            self._fault = fault(document["detail"])
            raise self._fault
        return kind, document

    async def _in_time(self, pool: ThreadPoolExecutor, talk: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.patience_s):
                return await loop.run_in_executor(pool, talk)
        except TimeoutError:
            self._process.kill()
            raise self._ended(f"nothing came of it in {self._limits.patience_s:g} s") from None
        except wire.WireClosed:
            status = await asyncio.to_thread(self._process.wait)
            reason = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise self._ended(reason) from None

    def _ended(self, reason: str) -> ServiceError:
        """Reading what somebody sent may end a process, and that is the file's fault; other work may not."""
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - LAST_WORDS_BYTES))
        words = self._words.read().decode("utf-8", "replace")
        log.warning("a video process ended", command=self._command, reason=reason, last_words=words)
        if self._command in ("probe", "decode"):
            return UndecodableVideo(f"The video could not be decoded within the limits ({reason}).")
        return InternalError("The video could not be processed.")


async def ask(command: Command, orders: Mapping[str, Any], limits: ChildLimits) -> dict[str, Any]:
    """What a child that has one answer says."""
    async with await Child.start(command, orders, limits) as child:
        _, document = await child.receive()
        return document


def _start(command: Command, words: BinaryIO) -> "subprocess.Popen[bytes]":
    root = Path(service.__file__).resolve().parent.parent
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # each thread that is not needed takes address space
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-s", "-m", "service.video.child", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        cwd="/",
        env=environment,
        start_new_session=True,  # a Ctrl+C in the terminal is for the service, which ends its children itself
    )
