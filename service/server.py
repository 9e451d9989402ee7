"""Server: one process that listens, serves, and goes without losing a request.

SIGTERM -> /readyz says 503, while new connections are still taken for `drain_delay_s`, until the gateway looks away
        -> no new connections; what was accepted is finished, in at most `drain_timeout_s`
        -> exit 0, or 1 if something had to be cut.
A second SIGTERM skips the delay, a third cuts what is running. SIGINT (Ctrl+C) begins with the second.
"""

import asyncio
import functools
import os
import resource
import signal
import socket
import sys
import time
from contextlib import ExitStack, nullcontext, suppress
from types import FrameType
from typing import TextIO

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from service.admission import Readiness
from service.app import create_app
from service.errors import StoreError
from service.exposition import exposed
from service.keys import KeyFileError
from service.protocol import LimitedProtocol
from service.settings import Settings, explain, load_settings
from service.telemetry import configure_logging
from service.tracing import TracingUnavailableError

BACKLOG = 2048  # connections that the kernel may hold for us
CUT_GRACE_S = 1.0  # for the last answers to leave

log = structlog.get_logger("service")


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit status. 2: a setting or the store is not what it must be."""
    try:
        settings = load_settings(arguments)
    except ValidationError as error:
        return _refuse_to_start(explain(error))
    configure_logging(level=settings.log_level, style=settings.log_format)
    _allow_many_connections()
    with ExitStack() as listeners:
        try:
            listener = listeners.enter_context(listen(settings))
            metrics_listener = _listen_for_metrics(settings)
        except CannotListenError as error:
            return _refuse_to_start(str(error))
        if metrics_listener is not None:
            listeners.enter_context(metrics_listener)
        try:
            app = create_app(settings)
        except (StoreError, KeyFileError, TracingUnavailableError) as error:
            return _refuse_to_start(str(error))
        log.info(
            "listening",
            url=_url(listener),
            metrics=f"{_url(metrics_listener)}/metrics" if metrics_listener else None,
            pid=os.getpid(),
            store=str(settings.store),
        )
        server = DrainingServer(server_config(app, settings), app.state.readiness, settings)
        server.expose(app.state.metrics.registry, metrics_listener)
        server.run(sockets=[listener])
    log.info("stopped", cut_requests=server.cut_requests)
    return 1 if server.cut_requests else 0


class DrainingServer(uvicorn.Server):
    """uvicorn, which by itself refuses new connections the moment SIGTERM comes, and exits with the signal's status."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness, settings: Settings) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._drain_delay_s = settings.drain_delay_s
        self._drain_timeout_s = settings.drain_timeout_s
        self._stop_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._metrics: tuple[CollectorRegistry, socket.socket] | None = None
        self.cut_requests = 0

    def expose(self, registry: CollectorRegistry, listener: socket.socket | None) -> None:
        """Serve `registry` on `listener`, if there is one, from the start until the last request has ended."""
        self._metrics = (registry, listener) if listener else None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        async with exposed(*self._metrics) if self._metrics else nullcontext():
            await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The next step of the way out; see the top of this file."""
        self._readiness.drain()
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut)
        elif self._stop_at is not None or sig == signal.SIGINT:
            self.should_exit = True
        else:
            self._stop_at = time.monotonic() + self._drain_delay_s

    async def on_tick(self, counter: int) -> bool:
        """Every 0.1 s: whether to stop now."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, finish what was accepted, then end the application."""
        self._loop = asyncio.get_running_loop()
        log.info("draining", requests=len(self.server_state.tasks))
        cut = self._loop.call_later(self._drain_timeout_s, self._cut)
        await super().shutdown(sockets)
        cut.cancel()

    def _cut(self) -> None:
        """Cancel what is still running; each request is answered 503 if its client listens, for CUT_GRACE_S."""
        assert self._loop is not None
        self.cut_requests = max(self.cut_requests, len(self.server_state.tasks))  # a second cut finds the same
        for task in self.server_state.tasks:
            task.cancel()
        self._loop.call_later(CUT_GRACE_S, self._abort)

    def _abort(self) -> None:
        for connection in self.server_state.connections:
            if isinstance(connection, LimitedProtocol):
                connection.transport.abort()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs `app`: one process, our protocol, our logging."""
    protocol = functools.partial(
        LimitedProtocol,
        max_head_bytes=settings.max_head_bytes,
        head_timeout_s=settings.head_timeout_s,
        metrics=app.state.metrics,
    )
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # it calls this to make a protocol, and asks no more of a class
        loop="auto",  # uvloop, where it is installed
        ws="none",
        lifespan="on",
        access_log=False,  # the envelope writes the line
        log_config=None,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        backlog=BACKLOG,
    )


class CannotListenError(Exception):
    """The address is taken, or is none of this machine."""


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises CannotListenError."""
    listener = _bound(settings.host, settings.port)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        # Inherited by accepted sockets: the kernel drops a client that takes nothing of its answer for so long.
        # Such a client would hold its place among `max_requests` for ever.
        timeout_ms = int(settings.send_timeout_s * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    listener.listen(BACKLOG)
    return listener


def _listen_for_metrics(settings: Settings) -> socket.socket | None:
    if settings.metrics_port is None:
        return None
    listener = _bound(settings.metrics_host, settings.metrics_port)
    listener.listen()
    return listener


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_many_connections() -> None:
    """As many open files as the operator allows at most: the usual soft limit is 1024, and a connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where "unlimited" is more than the kernel gives
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _refuse_to_start(reason: str, *, stream: TextIO | None = None) -> int:
    print(f"srserve does not start:\n{reason}", file=stream or sys.stderr)
    return 2
