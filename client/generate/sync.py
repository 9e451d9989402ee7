"""srserve_client/sync/, made from srserve_client/aio/: the same code without `async` and `await`, its names exchanged.

What the two really do differently (tasks or threads, sleeping, reading files) is in `io.py` of each, written by hand.
"""

import re
from pathlib import Path

from generate.ruff import formatted

PACKAGE = Path(__file__).resolve().parent.parent / "srserve_client"
SOURCE, TARGET = PACKAGE / "aio", PACKAGE / "sync"
BY_HAND = frozenset({"io.py"})

NOTE = "\n\nMade by `python -m generate` from srserve_client/aio/{name}; changes by hand are lost.\n"

# In this order; each is a whole word.
WORDS = {
    r"async def": "def",
    r"async with": "with",
    r"async for": "for",
    r"await ": "",
    r"AsyncClient": "Client",
    r"AsyncJobs": "Jobs",
    r"AsyncFrames": "Frames",
    r"AsyncIterator": "Iterator",
    r"AsyncIterable": "Iterable",
    r"AsyncGenerator": "Generator",
    r"AsyncBaseTransport": "BaseTransport",
    r"AsyncHTTPTransport": "HTTPTransport",
    r"AsyncNetworkStream": "NetworkStream",
    r"AnyIOBackend": "SyncBackend",
    r"asynccontextmanager": "contextmanager",
    r"__aenter__": "__enter__",
    r"__aexit__": "__exit__",
    r"__aiter__": "__iter__",
    r"__anext__": "__next__",
    r"StopAsyncIteration": "StopIteration",
    r"aclosing": "closing",
    r"aclose": "close",
    r"aiter_bytes": "iter_bytes",
    r"aiter_raw": "iter_raw",
    r"aread": "read",
    r"aiter": "iter",
    r"anext": "next",
    r"srserve_client\.aio": "srserve_client.sync",
}
_PATTERN = re.compile(rf"(?<!\w)(?:{'|'.join(WORDS)})(?!(?<=\w)\w)")
_ASYNC_ONLY = re.compile(r"\b(async|await|asyncio)\b|\bA?sync[A-Z]|\b__a[a-z]+__\b")


def render() -> dict[Path, str]:
    """The text of every generated file."""
    return {
        TARGET / source.name: _render(source) for source in sorted(SOURCE.glob("*.py")) if source.name not in BY_HAND
    }


def _render(source: Path) -> str:
    text = _PATTERN.sub(lambda match: _replacement(match.group()), source.read_text())
    left = [line for line in text.splitlines() if _ASYNC_ONLY.search(line)]
    if left:
        raise ValueError(f"{source.name}: no rule makes these lines sync: {left}")
    return formatted(_with_note(text, source.name), TARGET / source.name)


def _replacement(found: str) -> str:
    for word, replacement in WORDS.items():
        if re.fullmatch(word, found):
            return replacement
    raise AssertionError(found)


def _with_note(text: str, name: str) -> str:
    """`text` with the note at the end of its docstring, which opens the file."""
    end = text.index('"""', 3)
    return text[:end].rstrip() + NOTE.format(name=name) + text[end:]
