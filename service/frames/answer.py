"""The answer to a clip: its frames one after the other, as multipart/mixed or as a zip, and a summary at the end."""

import io
import json
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.problems import PROBLEM_JSON

MULTIPART, ZIP = "multipart/mixed", "application/zip"
CONTAINERS = (MULTIPART, ZIP)
_TIMELESS = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: equal answers are equal files


@dataclass(frozen=True)
class Part:
    """One part, or one file of the zip. `index` is the frame's number, None where the part is about the whole clip."""

    index: int | None
    name: str
    media_type: str
    content: bytes


def frame_part(index: int, content: bytes, *, format_name: str, media_type: str) -> Part:
    """A frame's answer."""
    return Part(index, f"{index:06d}.{format_name}", media_type, content)


def problem_part(index: int | None, document: Mapping[str, object]) -> Part:
    """Why a frame has none; or, without an index, why nothing more comes."""
    members = dict(document) | ({} if index is None else {"frame": index})
    name = "problem.json" if index is None else f"{index:06d}.problem.json"
    return Part(index, name, PROBLEM_JSON, json.dumps(members, default=str).encode())


def summary_part(document: Mapping[str, object]) -> Part:
    """What came of the clip."""
    return Part(None, "summary.json", "application/json", json.dumps(document).encode())


class Container(Protocol):
    """Turns parts into the bytes of an answer, as they come."""

    media_type: str
    """Of the whole answer."""

    def add(self, part: Part) -> bytes: ...

    def end(self) -> bytes: ...


class MultipartMixed:
    """RFC 2046, section 5.1.3. Each part says how long it is, so a reader need not look for the boundary."""

    def __init__(self) -> None:
        self._boundary = secrets.token_hex(16)
        self.media_type = f"{MULTIPART}; boundary={self._boundary}"

    def add(self, part: Part) -> bytes:
        """The part's bytes."""
        lines = [
            f"--{self._boundary}",
            f"Content-Type: {part.media_type}",
            f"Content-Length: {len(part.content)}",
            f'Content-Disposition: attachment; filename="{part.name}"',
        ]
        if part.index is not None:
            lines.append(f"X-Frame-Index: {part.index}")
        return "\r\n".join([*lines, "", ""]).encode() + part.content + b"\r\n"

    def end(self) -> bytes:
        """What closes the answer."""
        return f"--{self._boundary}--\r\n".encode()


class StoredZip:
    """A zip of stored files, for pictures are compressed already; sizes stand before the data, so it can be read as it
    comes.
    """

    media_type = ZIP

    def __init__(self) -> None:
        self._tail = _Tail()
        self._zip = zipfile.ZipFile(self._tail, "w", zipfile.ZIP_STORED)

    def add(self, part: Part) -> bytes:
        """The file's bytes."""
        self._zip.writestr(zipfile.ZipInfo(part.name, _TIMELESS), part.content)
        return self._tail.take()

    def end(self) -> bytes:
        """The directory."""
        self._zip.close()
        return self._tail.take()


class _Tail(io.RawIOBase):
    """A file of which only what was not taken yet is kept: ZipFile goes back within the entry it writes, no further."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0
        self._rest = io.BytesIO()

    def take(self) -> bytes:
        """What was written since, and will not change any more."""
        content = self._rest.getvalue()
        self._taken += len(content)
        self._rest = io.BytesIO()
        return content

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken + self._rest.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset - self._taken if whence == io.SEEK_SET else offset
        return self._taken + self._rest.seek(place, whence)

    def write(self, content: bytes) -> int:  # type: ignore[override]  # ZipFile writes bytes
        return self._rest.write(content)


def container_of(media_type: str) -> Container:
    """An empty answer of that type, one of CONTAINERS."""
    return StoredZip() if media_type == ZIP else MultipartMixed()
