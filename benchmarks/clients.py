"""Clients for a load: each has a picture of its own, sends it again and again, and knows what the answer has to be."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2


@dataclass
class Answered:
    """Seconds of each request of one client, and what went wrong."""

    asked: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0  # answers of other bytes than when the service had nothing else to do
    refused: int = 0  # 429 and 504


@dataclass
class LoadClient:
    """One client: a square picture of `side` pixels."""

    side: int
    content: bytes
    expected: bytes = b""
    alone_s: float = 0.0

    async def ask_alone(self, http: httpx2.AsyncClient, path: str, *, times: int) -> None:
        """Learns the answer, and how long it takes when nobody else asks (the quickest of `times`)."""
        durations = []
        for _ in range(times):
            started = time.perf_counter()
            answer = await http.post(path, content=self.content)
            durations.append(time.perf_counter() - started)
            answer.raise_for_status()
        self.expected, self.alone_s = answer.content, sorted(durations)[len(durations) // 2]

    async def keep_asking(self, http: httpx2.AsyncClient, path: str, *, until: float, pause_s: float) -> Answered:
        """Asks until then (time.perf_counter()), with exponential pauses of `pause_s` in the mean, or none."""
        answered = Answered()
        chance = random.Random(self.content)

        async def pause() -> None:
            seconds = chance.expovariate(1 / pause_s) if pause_s else 0.0
            await asyncio.sleep(min(seconds, max(until - time.perf_counter(), 0.0)))

        await pause()
        while time.perf_counter() < until:
            answered.asked += 1
            started = time.perf_counter()
            answer = await http.post(path, content=self.content)
            answered.seconds.append(time.perf_counter() - started)
            if answer.status_code in (429, 504):
                answered.refused += 1
                answered.seconds.pop()
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            else:
                answered.wrong += answer.content != self.expected
            await pause()
        return answered


async def all_at_once(
    clients: Sequence[LoadClient], http: httpx2.AsyncClient, path: str, *, seconds: float, pause_s: float
) -> list[Answered]:
    """What each of them saw in so many seconds; what was asked in that time is waited for."""
    until = time.perf_counter() + seconds
    return await asyncio.gather(*(client.keep_asking(http, path, until=until, pause_s=pause_s) for client in clients))
