"""What operators see of the queue: what waits in which class, and what the device has done."""

import asyncio

from service.metrics import Metrics
from service.watching import watch_queue
from tests.service.scheduling import TILE_PIXELS, Sessions, gpu, run, running, start, strip, until


def test_what_waits_is_seen_by_class_and_gone_when_it_is_done(sessions: Sessions) -> None:
    async def test() -> None:
        metrics = Metrics()
        value = metrics.registry.get_sample_value
        async with running(gpu(tiles=1)) as (scheduler, hand):
            watch_queue(metrics, scheduler, device="cuda")
            hand.hold()
            (first,) = start(scheduler, strip(sessions["nearest"], tiles=1, name="first"))
            await until(lambda: hand.batches)
            (second,) = start(scheduler, strip(sessions["nearest"], tiles=7, name="second"))
            await until(lambda: (value("sr_queue_tiles", {"class": "interactive"}) or 0) >= 6)
            waiting = value("sr_queue_tiles", {"class": "interactive"})
            assert waiting is not None  # one more may have been taken, to be ready
            assert value("sr_queue_pixels", {"class": "interactive"}) == waiting * TILE_PIXELS
            assert value("sr_queue_tiles", {"class": "jobs"}) == 0
            assert value("sr_queue_oldest_age_seconds", {"class": "interactive"}) != 0
            hand.release()
            await asyncio.gather(first, second)
            assert value("sr_queue_tiles", {"class": "interactive"}) == 0
            busy_s = value("sr_device_busy_seconds_total", {"device": "cuda"})
            assert busy_s is not None
            assert 0 < busy_s < 60
            assert value("sr_oom_total") == value("sr_batch_splits_total") == 0

    run(test())
