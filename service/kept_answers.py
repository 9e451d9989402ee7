"""Kept answers: pictures that were made lately, by who asked and entity-tag, so that the same request costs nothing.

Networks are deterministic and an entity-tag names all that an answer depends on (service/etag.py), so what is kept
never grows old; what was asked for longest ago goes first. Off unless the operator gives it room.
"""

from collections import OrderedDict
from collections.abc import Sized
from typing import Generic, Protocol, TypeVar


class Keepable(Protocol):
    """An answer; its `content` is what it weighs."""

    @property
    def content(self) -> Sized: ...


A = TypeVar("A", bound=Keepable)


class KeptAnswers(Generic[A]):
    """At most `max_bytes` of answers. Belongs to the event loop's thread.

    `owner` is the key that a request came with: nobody is given what another one's key has paid for, nor learns from a
    quick answer what another one has asked.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._answers: OrderedDict[tuple[str, str], A] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_bytes > 0

    def find(self, owner: str, etag: str) -> A | None:
        """The answer, if it is here; it will then stay longer."""
        found = self._answers.get((owner, etag))
        if found is not None:
            self._answers.move_to_end((owner, etag))
        return found

    def keep(self, owner: str, etag: str, answer: A) -> None:
        """Takes it in, for others that go. One of more than a quarter of the room would drive out too many."""
        weight = len(answer.content)
        if weight > self._max_bytes // 4 or (owner, etag) in self._answers:
            return
        self._answers[owner, etag] = answer
        self.bytes += weight
        while self.bytes > self._max_bytes:
            _, gone = self._answers.popitem(last=False)
            self.bytes -= len(gone.content)
