"""Bodies: what a request carries, opened anew for each attempt, so that a retry sends the same bytes again."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from srserve_client.pictures import Picture, picture_bytes

CHUNK_BYTES = 256 * 1024  # sent between two looks at the deadline


class Body:
    """Bytes to send. `length` None: not known before the end. A body that is not replayable can be opened once."""

    def __init__(
        self,
        opener: Callable[[], IO[bytes]],
        *,
        length: int | None,
        media_type: str = "application/octet-stream",
        is_replayable: bool = True,
    ) -> None:
        self._opener = opener
        self.length = length
        self.media_type = media_type
        self._is_replayable = is_replayable
        self._was_opened = False

    @classmethod
    def of_bytes(cls, content: bytes, media_type: str = "application/octet-stream") -> "Body":
        """Bytes in memory."""
        return cls(lambda: io.BytesIO(content), length=len(content), media_type=media_type)

    @classmethod
    def of_path(cls, path: str | os.PathLike[str]) -> "Body":
        """A file, read as it is sent. Raises OSError when there is none."""
        place = Path(path)
        return cls(lambda: place.open("rb"), length=place.stat().st_size)

    @classmethod
    def of_file(cls, file: IO[bytes]) -> "Body":
        """An open file, from where it stands; it stays open. One that cannot seek is sent once and never again."""
        if not (hasattr(file, "seekable") and file.seekable()):
            return cls(lambda: _kept_open(file), length=None, is_replayable=False)
        start = file.tell()
        length = file.seek(0, os.SEEK_END) - start

        def rewound() -> IO[bytes]:
            file.seek(start)
            return _kept_open(file)

        return cls(rewound, length=length)

    @property
    def can_be_sent(self) -> bool:
        """Whether `open` still gives all of the body."""
        return self._is_replayable or not self._was_opened

    def open(self) -> IO[bytes]:
        """The body from its beginning; the caller closes it."""
        if not self.can_be_sent:
            raise RuntimeError("this body has been read, and cannot be read again")
        self._was_opened = True
        return self._opener()


def body_of(source: Picture) -> Body:
    """A path or an open file, sent as it is read; or the bytes of whatever else `picture_bytes` takes."""
    if isinstance(source, str | os.PathLike):
        return Body.of_path(source)
    if isinstance(source, io.IOBase) or hasattr(source, "readinto"):
        return Body.of_file(cast("IO[bytes]", source))
    return Body.of_bytes(picture_bytes(source))


class _KeptOpen(io.RawIOBase):
    """A file that is the caller's: closing this does not close it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # typeshed's private buffer type
        chunk = self._file.read(len(buffer))
        if not isinstance(chunk, bytes):
            raise TypeError(f"the file gives {type(chunk).__name__}, not bytes: open it in mode 'rb'")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _kept_open(file: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(_KeptOpen(file))
