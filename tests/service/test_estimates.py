"""An estimate is what tiles, codecs and those who are there will take; time decides who is refused, and how."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.codecs import ImageHeader, ImageLimits
from service.cores import Cores
from service.costs import Costs, Network
from service.deadlines import Deadline
from service.errors import Overloaded, TooLargeForSync
from service.estimates import Estimate, Estimator
from service.orders import Order, UpscaleLimits, UpscaleParams
from service.registry import Registry
from service.scheduler import Scheduler
from tests.service.scheduling import Watch, picture, run, start, until, work

LIMITS = UpscaleLimits(ImageLimits(max_input_pixels=10**8, max_side=10**5), max_output_pixels=10**9, max_tile=64)


@pytest.fixture(scope="module")
def registry(oracle_store: Path) -> Registry:
    return Registry.open(oracle_store, device="cpu", threads=1)


def order(registry: Registry, width: int, height: int, *, alpha: bool = False, **params: object) -> Order:
    model = registry.get(str(params.setdefault("model", "nearest")))
    wishes = UpscaleParams(**{"scale": 2, **params})  # type: ignore[arg-type]
    header = ImageHeader("png", width, height, 8, has_alpha=alpha, frames=1)
    return Order.of(header, model, wishes.options(), wishes, LIMITS)


@asynccontextmanager
async def estimating(registry: Registry, *, tile_s: float = 1.0) -> AsyncIterator[tuple[Estimator, Scheduler, Watch]]:
    """An estimator on one core, where a tile of 64x64 takes `tile_s`."""
    costs, watch = Costs(), Watch()
    for model in registry.models.values():
        for graph in model.graphs.values():
            costs.fit(Network.of(graph.manifest), "single", [(64 * 64, tile_s)])
    scheduler = Scheduler(Cores(1), costs=costs, observer=watch)
    scheduler.start()
    try:
        yield Estimator(scheduler, costs, max_tile=64, max_queue_s=30), scheduler, watch
    finally:
        watch.release()
        await scheduler.aclose(drain=False)


def test_it_counts_tiles_and_the_alpha_channels_and_asks_for_the_orders_memory(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, _, _):
            plain, clear = order(registry, 64, 256), order(registry, 64, 256, alpha=True)
            made = estimator.estimate(plain, body_bytes=1000)
            assert (made.demand.tiles, made.demand.tile_pixels) == (4, 64 * 64)
            assert made.forecast.alone_s == pytest.approx(4.0)
            assert made.total_s == pytest.approx(4.0 + made.decode_s + made.encode_s)
            assert made.peak_bytes == plain.peak_bytes(body_bytes=1000)
            assert estimator.estimate(clear, body_bytes=1000).demand.tiles == 8

    run(test())


def test_exact_tiling_and_ensembles_are_dearer(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, _, _):
            fast, exact = (
                estimator.estimate(order(registry, 64, 600, model="rough", tiling=tiling), body_bytes=0)
                for tiling in ("fast", "exact")
            )
            assert exact.demand.tiles * exact.demand.tile_pixels > fast.demand.tiles * fast.demand.tile_pixels

    run(test())


def test_codecs_are_learned_by_format(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, _, _):
            picture, other = order(registry, 64, 64), order(registry, 64, 64, format="jpeg")
            before = estimator.estimate(other, body_bytes=0)
            for _ in range(60):
                estimator.encoded(picture, 3.0)
                estimator.decoded(picture, 2.0)
            made = estimator.estimate(picture, body_bytes=0)
            assert (made.decode_s, made.encode_s) == pytest.approx((2.0, 3.0), rel=0.01)
            assert estimator.estimate(other, body_bytes=0).encode_s == before.encode_s

    run(test())


def test_what_passes_between_the_steps_is_learned_and_a_hiccup_is_not_the_rule(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, _, _):
            wanted = order(registry, 64, 64)
            before = estimator.estimate(wanted, body_bytes=0)
            for _ in range(200):
                estimator.handed_over(0.05)
            made = estimator.estimate(wanted, body_bytes=0)
            assert made.handover_s == pytest.approx(0.05, rel=0.01)
            assert made.total_s - before.total_s == pytest.approx(0.05, rel=0.01)
            estimator.handed_over(1000.0)
            assert estimator.estimate(wanted, body_bytes=0).handover_s < 0.06
            for _ in range(200):
                estimator.handed_over(-1.0)  # clocks of two threads
            assert estimator.estimate(wanted, body_bytes=0).handover_s == pytest.approx(0, abs=1e-6)

    run(test())


# --- time


def check(estimator: Estimator, made: Estimate, seconds: float) -> None:
    estimator.check(made, Deadline.after(seconds))


def test_what_alone_takes_longer_than_the_deadline_is_too_large(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, _, _):
            made = estimator.estimate(order(registry, 64, 640), body_bytes=0)
            check(estimator, made, 11)
            with pytest.raises(TooLargeForSync, match=r"about 10\.0 s, and the deadline is 9 s") as caught:
                check(estimator, made, 9)
            assert caught.value.members == {"limit": 9, "actual": pytest.approx(10, abs=0.1), "endpoint": "/jobs"}
            estimator.check(made, None)  # a job

    run(test())


def test_what_others_make_late_is_told_when_to_come_back(registry: Registry) -> None:
    async def test() -> None:
        async with estimating(registry) as (estimator, scheduler, watch):
            watch.hold()
            session = registry.get("nearest").graph(2).session
            tasks = start(scheduler, *(work(session, picture(64, 640), name=name, max_tile=64) for name in "abcde"))
            await until(lambda: scheduler.queued()["interactive"].tiles == 49)
            made = estimator.estimate(order(registry, 64, 640), body_bytes=0)
            assert made.forecast.least_s == pytest.approx(60, abs=0.5)  # all that waits, what runs, and its own
            with pytest.raises(Overloaded, match="would wait about") as deadline:
                check(estimator, made, 20)
            assert deadline.value.retry_after_s == pytest.approx(made.total_s - 20, abs=0.5)
            with pytest.raises(Overloaded) as patience:
                check(estimator, made, 1000)
            assert patience.value.members["limit"] == 30
            assert patience.value.retry_after_s == pytest.approx(made.forecast.queue_s - 30, abs=0.5)
            for task in tasks:
                task.cancel()

    run(test())


def test_a_guess_refuses_nobody(registry: Registry) -> None:
    async def test() -> None:
        costs = Costs()
        scheduler = Scheduler(Cores(1), costs=costs)
        estimator = Estimator(scheduler, costs, max_tile=64, max_queue_s=30)
        made = estimator.estimate(order(registry, 6400, 6400), body_bytes=0)
        assert not made.is_measured
        check(estimator, made, 0.001)

    run(test())
