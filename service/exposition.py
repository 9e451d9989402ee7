"""Exposition: the metrics on a port of their own, in the same event loop, until the process has finished its work.

Not a path of the service: what operators see is not for whoever may send pictures, and it is still there when the
service takes no more connections.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app


class _SideServer(uvicorn.Server):
    """A server whose process belongs to another one: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def exposed(registry: CollectorRegistry, listener: socket.socket) -> AsyncIterator[None]:
    """Serves `registry` at /metrics, and at every other path, while the block runs."""
    config = uvicorn.Config(
        make_asgi_app(registry),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _SideServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
