"""Feed: what happens to one job, told to everybody who listens, from where they left off.

An event's id is `<epoch>-<number>`: the epoch counts the starts of the service, the number this process's events of
the job. Who comes back with the id of an event that is still kept gets all that followed; who comes back with
another one, after a restart too, gets the job as it is now. The last event of any job has the id END.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from service.jobs.record import Facts

KEPT_EVENTS = 256
END = "end"
_EVENT_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
EventName = Literal["state", "progress"]


@dataclass(frozen=True)
class Event:
    """`state` when the state has changed, `progress` when steps were done; `document` is the job in either case."""

    id: str
    name: EventName
    document: Facts


class Feed:
    """The events of one job. Belongs to the event loop's thread."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._events: deque[tuple[int, Event]] = deque(maxlen=KEPT_EVENTS)
        self._published = 0
        self._news = asyncio.Event()

    def publish(self, name: EventName, document: Facts, *, last: bool = False) -> None:
        """Tell all who listen."""
        self._published += 1
        event_id = END if last else f"{self._epoch}-{self._published}"
        self._events.append((self._published, Event(event_id, name, document)))
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, last_event_id: str | None, *, patience_s: float) -> AsyncIterator[Event | None]:
        """What followed that event, and all that follows to the end; None whenever nothing did for `patience_s`.

        Who has no id begins with the newest event, and so does who comes back too late.
        """
        number = self._number(last_event_id)
        if number is None or (self._events and number < self._events[0][0] - 1):
            number = max(self._published - 1, 0)
        while True:
            news = self._news
            for at, event in tuple(self._events):
                if at > number:
                    number = at
                    yield event
                    if event.id == END:
                        return
            if number >= self._published:
                try:
                    async with asyncio.timeout(patience_s):
                        await news.wait()
                except TimeoutError:
                    yield None

    def _number(self, event_id: str | None) -> int | None:
        """The number in an id that this feed has given out."""
        match = _EVENT_ID.fullmatch(event_id or "")
        if match is None or int(match[1]) != self._epoch or int(match[2]) > self._published:
            return None
        return int(match[2])
