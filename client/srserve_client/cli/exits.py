"""Exits: with which status and which words a command ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from srserve_client.calls import DEFAULT_URL
from srserve_client.errors import ConnectionFailed, DeadlineExpired, ProblemError, SrserveError, UnexpectedAnswer

DONE = 0
FAILED = 1  # some of what was asked for could not be done
WRONG_USE = 2  # nothing of it can be: a parameter, a path, a key
NO_SERVICE = 3  # nobody answers at the address
INTERRUPTED = 130  # as shells say it of Ctrl-C

# What these say of one picture holds for every other one.
_OF_THE_REQUEST = frozenset(
    {
        "unauthenticated",
        "forbidden",
        "model-not-allowed",
        "unknown-model",
        "unsupported-scale",
        "bad-parameter",
        "not-found",
    }
)

console = Console(stderr=True, highlight=False, soft_wrap=True)


def status_of(error: SrserveError | OSError | ValueError) -> int:
    """The exit status for an error that ended a command, or would end every other part of it just so."""
    if isinstance(error, ConnectionFailed | UnexpectedAnswer):
        return NO_SERVICE
    if isinstance(error, ProblemError) and error.code in _OF_THE_REQUEST:
        return WRONG_USE
    return FAILED


def concerns_all(error: SrserveError | OSError | ValueError) -> bool:
    """Whether the next picture would meet the same error."""
    return status_of(error) != FAILED


def explain(error: SrserveError | OSError | ValueError, *, base_url: str) -> str:
    """The error in a line, for people."""
    if isinstance(error, ProblemError):
        return f"{error.detail} ({error.code}; request {error.request_id})"
    if isinstance(error, ConnectionFailed):
        return f"{base_url} does not answer: {error}"
    if isinstance(error, UnexpectedAnswer | DeadlineExpired):
        return f"{base_url}: {error}"
    return str(error)


@contextmanager
def ending(base_url: str | None) -> Iterator[None]:
    """Ends the command with one line and its status, where the block meets an error or Ctrl-C."""
    try:
        yield
    except (SrserveError, OSError, ValueError) as error:
        console.print(explain(error, base_url=base_url or DEFAULT_URL), style="red", markup=False)
        status = status_of(error) if isinstance(error, SrserveError) else WRONG_USE
        raise typer.Exit(status) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
