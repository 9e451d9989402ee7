"""ETag: a name for an answer before it is made, for networks are deterministic; If-None-Match (RFC 9110, 13.1.2)."""

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from importlib import metadata

_TAG = re.compile(r'[ \t]*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')
_EMPTY = re.compile(r"[ \t]*(?:,|$)")  # lists may have empty members (RFC 9110, 5.6.1.2)
# What turns the network's numbers into bytes, and the caller's bytes into pixels.
_LIBRARIES = ("srserve", "imagecodecs", "numpy", "onnxruntime", "onnxruntime-gpu", "pillow", "zlib-ng")


def strong_etag(facts: object) -> str:
    """The entity-tag of the answer that `facts` (what JSON can hold) determine, on this version of the service."""
    text = json.dumps([facts, _versions()], sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def is_named(etag: str, if_none_match: Sequence[str]) -> bool:
    """Whether the header's lines name the tag or `*`, by the weak comparison. A malformed line names nothing."""
    return any(line.strip(" \t") == "*" or etag in _tags(line) for line in if_none_match)


def _tags(line: str) -> list[str]:
    tags: list[str] = []
    at = 0
    while at < len(line):
        if member := _TAG.match(line, at):
            tags.append(member[1])
        elif not (member := _EMPTY.match(line, at)):
            return []
        at = member.end()
    return tags


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version for name in _LIBRARIES if (version := _version(name))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
