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


def test_what_was_run_for_nobody_is_counted(sessions: Sessions) -> None:
    async def test() -> None:
        metrics = Metrics()
        value = metrics.registry.get_sample_value
        async with running(gpu(tiles=1)) as (scheduler, hand):
            watch_queue(metrics, scheduler, device="cuda")
            (done,) = start(scheduler, strip(sessions["nearest"], tiles=3, name="done"))
            await done
            assert value("sr_wasted_pixels_total") == 0
            hand.hold()
            (left,) = start(scheduler, strip(sessions["nearest"], tiles=9, name="left"))
            await until(lambda: hand.batches[-1] == ("left",))
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            hand.release()
            await until(lambda: value("sr_wasted_pixels_total") == TILE_PIXELS)  # the one that was under way

    run(test())


def test_a_given_up_request_wastes_what_had_been_done_of_it_too(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=1)) as (scheduler, _):
            began = asyncio.get_running_loop().time()
            (left,) = start(scheduler, strip(sessions["nearest"], tiles=400, name="left"))
            await until(lambda: scheduler.tally.tiles >= 2)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            await until(lambda: scheduler.tally.wasted_pixels == scheduler.tally.pixels)
            assert scheduler.tally.tiles < 400, (
                f"all were done within {asyncio.get_running_loop().time() - began:.2f} s"
            )

    run(test())


def test_a_batch_is_observed_with_the_most_tiles_there_may_be(sessions: Sessions) -> None:
    async def test() -> None:
        async with running(gpu(tiles=4)) as (scheduler, hand):
            await asyncio.gather(*start(scheduler, strip(sessions["nearest"], tiles=6, name="six")))
            assert [(len(record.request_ids), record.most_tiles) for record in hand.records] == [(4, 4), (2, 4)]

    run(test())
