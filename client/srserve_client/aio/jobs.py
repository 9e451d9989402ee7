"""AsyncJobs: what takes too long to wait for, handed in, followed, fetched and canceled."""

import os
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import httpx2

from srserve_client.aio import io
from srserve_client.aio.download import Download
from srserve_client.aio.exchange import Exchange, connection_errors
from srserve_client.answers import parsed, parsed_text
from srserve_client.bodies import body_of
from srserve_client.calls import JobOptions, cancel_call, create_job_call, events_call, job_call
from srserve_client.deadlines import PATIENCE_S, RECONNECT_S, STALL_S, Deadline
from srserve_client.errors import ConnectionFailed
from srserve_client.job import Job
from srserve_client.pictures import Picture
from srserve_client.problems import JobNotReady


@dataclass(frozen=True)
class AsyncJobs:
    """The jobs of one service, as `client.jobs`. A job is meant by itself or by its id.

    Every method raises ConnectionFailed, DeadlineExpired, UnexpectedAnswer, and UnknownJob where there is none.
    """

    exchange: Exchange
    timeout_s: float | None

    async def create(
        self,
        source: Picture,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Hand in a video or a picture; the service answers once it has it all, and keeps it over its own restarts.

        A path or an open file is sent as it is read; `timeout` is for all of that, None: as long as something moves.
        The same `idempotency_key` gives the same job, once; without one, a new key covers the attempts of this call.

        Raises what the service refuses, as `upscale` does, and OSError for a file that cannot be read.
        """
        body = await io.in_thread(body_of, source)
        call = create_job_call(body, options, key=idempotency_key or uuid.uuid4().hex)
        answer = await self.exchange.fetch(call, Deadline(timeout, stall_s=STALL_S))
        return parsed(answer, Job.of)

    async def get(self, job: Job | str) -> Job:
        """The job as it is now."""
        return parsed(await self.exchange.fetch(job_call(_id(job)), Deadline(self.timeout_s)), Job.of)

    async def cancel(self, job: Job | str) -> Job:
        """Cancel it, if it has not ended; of one that has, delete the result. To ask twice does no harm."""
        return parsed(await self.exchange.fetch(cancel_call(_id(job)), Deadline(self.timeout_s)), Job.of)

    async def wait(
        self, job: Job | str, *, on_progress: Callable[[Job], object] | None = None, timeout: float | None = None
    ) -> Job:
        """The job when it has succeeded; `on_progress` is called with it whenever something has changed.

        Raises the error that the job ended with, JobCanceled, and DeadlineExpired after `timeout` seconds (None: it is
        waited for to its end); the job itself goes on.
        """
        async with aclosing(self.follow(job, timeout=timeout)) as states:
            async for state in states:
                if on_progress is not None:
                    on_progress(state)
                if state.is_finished:
                    return state.succeeded()
        raise AssertionError("a job is followed to its end")

    async def follow(self, job: Job | str, *, timeout: float | None = None) -> AsyncGenerator[Job]:
        """The job now, and whenever it has changed, until it has ended.

        A connection that breaks is made again, from where it broke; with a service that cannot be reached it is
        patient, for a restart ends no job. Raises as `wait` does, but not for the way in which the job ended.
        """
        job_id = _id(job)
        deadline = Deadline(timeout, stall_s=STALL_S)
        patience = Deadline(PATIENCE_S)
        last_event_id = ""
        has_heard = True
        while True:
            try:
                if not has_heard:  # something on the way may hold events back: ask
                    state = await self.get(job_id)
                    patience = Deadline(PATIENCE_S)
                    yield state
                    if state.is_finished:
                        return
                has_heard = False
                async with self.exchange.stream(events_call(job_id, last_event_id=last_event_id), deadline) as response:
                    with connection_errors(deadline, response.request.headers["x-request-id"]):
                        async for event in httpx2.EventSource(response):
                            deadline.check()
                            last_event_id = event.id or last_event_id
                            if not event.data:
                                continue
                            has_heard = True
                            patience = Deadline(PATIENCE_S)
                            state = parsed_text(event.data, Job.of)
                            yield state
                            if state.is_finished:
                                return
            except ConnectionFailed:
                if not patience.allows(0.0):
                    raise
            if not deadline.allows(RECONNECT_S):
                raise deadline.expired()
            await io.sleep(RECONNECT_S)

    async def download(
        self, job: Job | str, path: str | os.PathLike[str], *, on_progress: Callable[[int, int], object] | None = None
    ) -> Path:
        """Save the result of a job that has succeeded; `on_progress` is called with the bytes that are there, and all.

        Goes on where an earlier download to this path broke off, of this process or of another. The file is there
        whole, checked by its digest, or not at all. Raises JobNotReady, JobCanceled, JobExpired, the error that the
        job ended with, and OSError.
        """
        state = job if isinstance(job, Job) and job.result is not None else await self.get(job)
        if state.succeeded().result is None:
            raise JobNotReady(f"The job {state.id} is {state.state}.", members={"state": state.state})
        return await Download(self.exchange, state, Path(path)).run(on_progress)


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id
