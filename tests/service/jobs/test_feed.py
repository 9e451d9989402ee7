"""A feed gives every listener what it has missed, and nothing twice."""

import asyncio
from collections.abc import AsyncIterator

from service.jobs.feed import END, KEPT_EVENTS, Event, Feed


async def take(events: AsyncIterator[Event | None], count: int) -> list[Event]:
    """The next events, silences left out."""
    taken: list[Event] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            event = await anext(events)
            if event is not None:
                taken.append(event)
    return taken


async def rest(events: AsyncIterator[Event | None]) -> list[Event]:
    async with asyncio.timeout(20):
        return [event async for event in events if event is not None]


def numbers(events: list[Event]) -> list[object]:
    return [event.document["n"] for event in events]


def filled(count: int, *, epoch: int = 7) -> Feed:
    feed = Feed(epoch)
    for number in range(count):
        feed.publish("progress", {"n": number})
    return feed


def test_a_new_listener_begins_with_the_newest_event_and_goes_on_to_the_end() -> None:
    async def scenario() -> None:
        feed = filled(3)
        events = feed.follow(None, patience_s=60)
        assert numbers(await take(events, 1)) == [2]
        feed.publish("progress", {"n": 3})
        feed.publish("state", {"n": 4}, last=True)
        last = await rest(events)
        assert numbers(last) == [3, 4]
        assert [event.id for event in last] == ["7-4", END]

    asyncio.run(scenario())


def test_who_comes_back_gets_exactly_what_followed() -> None:
    async def scenario() -> None:
        feed = filled(10)
        assert numbers(await take(feed.follow("7-4", patience_s=60), 6)) == [4, 5, 6, 7, 8, 9]
        waiting = feed.follow("7-10", patience_s=60)
        following = asyncio.create_task(take(waiting, 1))
        await asyncio.sleep(0.01)
        feed.publish("progress", {"n": 10})
        assert numbers(await following) == [10]

    asyncio.run(scenario())


def test_who_comes_back_too_late_or_from_before_a_restart_gets_the_job_as_it_is() -> None:
    async def scenario() -> None:
        feed = filled(KEPT_EVENTS + 50)
        newest = KEPT_EVENTS + 49
        for stale in ("7-1", "6-3", "nonsense", "", "7-999999", "7-99999999999999999999"):
            assert numbers(await take(feed.follow(stale, patience_s=60), 1)) == [newest]
        assert len(await take(feed.follow("7-50", patience_s=60), KEPT_EVENTS)) == KEPT_EVENTS

    asyncio.run(scenario())


def test_many_listeners_hear_the_same() -> None:
    async def scenario() -> None:
        feed = filled(1)
        following = [asyncio.create_task(rest(feed.follow(None, patience_s=60))) for _ in range(20)]
        await asyncio.sleep(0)
        for number in range(1, 100):
            feed.publish("progress", {"n": number})
            await asyncio.sleep(0)
        feed.publish("state", {"n": 100}, last=True)
        for heard in await asyncio.gather(*following):
            assert numbers(heard) == list(range(101))

    asyncio.run(scenario())


def test_silence_is_told_as_such() -> None:
    async def scenario() -> None:
        events = filled(1).follow("7-1", patience_s=0.01)
        assert [await anext(events), await anext(events)] == [None, None]

    asyncio.run(scenario())
