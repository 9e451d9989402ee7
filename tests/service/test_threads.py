"""Codec threads: results and errors come back, and a caller that is cancelled does not leave pixels behind."""

import asyncio
import threading

import pytest

from service.threads import CodecThreads


@pytest.fixture
def threads() -> CodecThreads:
    return CodecThreads(1)


def test_a_result_comes_back_from_another_thread(threads: CodecThreads) -> None:
    name = asyncio.run(threads.run(lambda: threading.current_thread().name))
    assert name.startswith("codec")


def test_an_error_comes_back_as_it_was(threads: CodecThreads) -> None:
    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(threads.run(int, "wrong"))


def test_a_cancelled_caller_waits_for_what_is_running(threads: CodecThreads) -> None:
    begun, may_end = threading.Event(), threading.Event()
    ended = False

    def work() -> None:
        nonlocal ended
        begun.set()
        may_end.wait(10)
        ended = True
        raise ValueError("nobody is left to be told")

    async def cancel_while_it_runs() -> None:
        task = asyncio.create_task(threads.run(work))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended

    asyncio.run(cancel_while_it_runs())


def test_a_cancelled_caller_leaves_at_once_when_its_turn_has_not_come(threads: CodecThreads) -> None:
    begun, may_end = threading.Event(), threading.Event()
    ran = threading.Event()

    def block() -> None:
        begun.set()
        may_end.wait(10)

    async def cancel_while_it_waits() -> None:
        running = asyncio.create_task(threads.run(block))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.create_task(threads.run(ran.set))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 1)
        may_end.set()
        await running

    asyncio.run(cancel_while_it_waits())
    threads.close()
    assert not ran.is_set()
