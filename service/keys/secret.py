"""Secrets: what a key looks like, and what is kept of it.

    srk_<id>_<secret>       id: 8 hex digits, to find it by; secret: 32 random bytes, base64url

Of the secret only its sha256 is kept. A slow hash, as passwords need it, would gain nothing: nobody tries out 2^256.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_FORM = re.compile(r"srk_(?P<id>[0-9a-f]{8})_(?P<secret>[A-Za-z0-9_-]{43})")
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class NewKey:
    """A key just made: `text` is for its holder alone, and shown once."""

    id: str
    text: str
    digest: str


def new_key() -> NewKey:
    """A key that nobody has."""
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    return NewKey(key_id, f"srk_{key_id}_{secret}", digest_of(secret))


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse(text: str) -> tuple[str, str] | None:
    """Id and secret of what should be a key; None if it is none."""
    found = _FORM.fullmatch(text)
    return (found["id"], found["secret"]) if found else None


def matches(secret: str, digest: str | None) -> bool:
    """Whether the secret is that of `digest`; takes as long whether there is one or not."""
    return hmac.compare_digest(digest_of(secret), digest or _NO_DIGEST)
