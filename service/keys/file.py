"""The key file: JSON without a secret, changed under a lock and replaced whole, so that a reader never sees half."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

Class = Literal["interactive", "frames", "jobs"]  # as in service/turns.py


class KeyFileError(Exception):
    """The key file is not what it must be. The message names file, field and cure."""


class Grants(BaseModel):
    """What a key allows. 0 and None: no limit but the service's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_requests: NonNegativeInt = Field(8, description="Requests at once")
    pixels_per_minute: NonNegativeInt = Field(0, description="Input pixels a minute, on average")
    queue_class: Class = Field("interactive", description="How its tiles are weighted against others': 8 : 2 : 1")
    models: tuple[str, ...] | None = Field(None, description="The models it may name; None: all")


class Key(BaseModel):
    """One key; of its secret only the sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created: AwareDatetime
    revoked: AwareDatetime | None = None
    grants: Grants = Grants()


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    keys: list[Key] = []


def read_keys(path: Path) -> dict[str, Key]:
    """All keys by id, revoked ones too. Raises KeyFileError."""
    try:
        return _by_id(path, _Document.model_validate_json(path.read_bytes()))
    except OSError as error:
        cure = "make one with `python -m service.keys make NAME`, or set SR_KEYS to off"
        raise KeyFileError(f"{path}: the key file cannot be read ({error.strerror}). Cure: {cure}.") from error
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "the file"
        raise KeyFileError(f"{path}: {field}: {fault['msg']}. Cure: restore the key file.") from error


@contextmanager
def change_keys(path: Path) -> Iterator[dict[str, Key]]:
    """The keys, to be changed in place, and written when the block ends well; one process at a time.

    The file is made, readable by its owner only, if it is not there. Raises KeyFileError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = read_keys(path) if path.exists() else {}
            yield keys
            _replace(path, _Document(keys=list(keys.values())))
    except OSError as error:
        raise KeyFileError(f"{path}: the key file cannot be written ({error.strerror}).") from error


def revoked(key: Key, *, at: datetime) -> Key:
    """The key as it is once revoked; the first time counts."""
    return key if key.revoked else key.model_copy(update={"revoked": at})


def _replace(path: Path, document: _Document) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(document.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _by_id(path: Path, document: _Document) -> dict[str, Key]:
    keys = {key.id: key for key in document.keys}
    if len(keys) < len(document.keys):
        raise KeyFileError(f"{path}: two keys have one id. Cure: restore the key file.")
    return keys
