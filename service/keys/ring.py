"""The key ring: the keys as the running service knows them, read again when the file changes."""

import time
from pathlib import Path

import structlog

from service.errors import Unauthenticated
from service.keys.file import Key, KeyFileError, read_keys
from service.keys.quota import Quota
from service.keys.secret import matches, parse

LOOK_AGAIN_S = 1.0  # after which a key that was revoked is refused at the latest; a new one is known at once

log = structlog.get_logger("service")


class KeyRing:
    """Who a key belongs to, and each key's quota. Belongs to the event loop's thread."""

    def __init__(self, path: Path) -> None:
        """Raises KeyFileError when the file cannot be read; later, the keys read last stay in force."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = read_keys(path)
        self._quotas: dict[str, Quota] = {}
        self._looked_at = time.monotonic()

    def authenticate(self, text: str) -> Key:
        """The key of that text. Raises Unauthenticated, in the same words whatever is wrong with it."""
        parsed = parse(text)
        self._look_again(at_once=parsed is not None and parsed[0] not in self._keys)
        key = self._keys.get(parsed[0]) if parsed else None
        genuine = matches(parsed[1] if parsed else "", key.sha256 if key else None)
        if key is None or not genuine or key.revoked:
            raise Unauthenticated("The key is unknown or revoked.", headers={"WWW-Authenticate": "Bearer"})
        return key

    def quota(self, key: Key) -> Quota:
        """The account of that key."""
        return self._quotas.setdefault(key.id, Quota(now=time.monotonic()))

    def _look_again(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if now < self._looked_at + LOOK_AGAIN_S and not at_once:
            return
        self._looked_at = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except KeyFileError as error:
            log.error("the key file is not read; the keys read last stay in force", reason=str(error))  # noqa: TRY400
        else:
            log.info("keys read", keys=sum(1 for key in self._keys.values() if not key.revoked))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Differs when the file has been replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
