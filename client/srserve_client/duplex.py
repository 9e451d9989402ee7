"""Duplex: one HTTP/1.1 request that is sent while its answer is read, which httpx2 does not do: it sends, then reads.

On asyncio's own streams, with h11 for the protocol, which httpx2 stands on, too. No proxy.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Self

import h11
import httpx2

from srserve_client.errors import ConnectionFailed, DeadlineExpired

CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024


class Duplex:
    """A connection of its own. Every method raises ConnectionFailed; those that read, DeadlineExpired."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, timeout_s: float | None, request_id: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self._request_id = request_id
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
        self.status = 0
        self.headers = httpx2.Headers()

    @classmethod
    async def open(
        cls, url: httpx2.URL, headers: Mapping[str, str], *, timeout_s: float | None, request_id: str
    ) -> Self:
        """Connect to the URL's server and send the head of a chunked POST that awaits a word before its body.

        `timeout_s` is how long nothing may come while something is waited for; None: for ever.
        """
        context = _tls() if url.scheme == "https" else None
        port = url.port or (443 if context else 80)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(url.host, port, ssl=context)
        except (OSError, TimeoutError) as error:
            failed = ConnectionFailed(f"{type(error).__name__}: {error}", sent_nothing=True)
            failed.request_id = request_id
            raise failed from error
        made = cls(reader, writer, timeout_s=timeout_s, request_id=request_id)
        lines = {
            "Host": url.netloc.decode(),
            "X-Request-ID": request_id,
            "Transfer-Encoding": "chunked",
            "Expect": "100-continue",
            **headers,
        }
        await made._send(h11.Request(method="POST", target=url.raw_path, headers=list(lines.items())))
        return made

    async def may_begin(self, *, patience_s: float) -> bool:
        """Whether the service wants the body: it says so, or says nothing for `patience_s`; else it has answered."""
        try:
            async with asyncio.timeout(patience_s):
                event = await self._event(limited=False)
        except TimeoutError:
            return True
        return not self._is_head(event)

    async def send(self, content: bytes) -> None:
        """A piece of the body; returns when there is room for more."""
        if content:
            await self._send(h11.Data(data=content))

    async def finish(self) -> None:
        """The body is complete."""
        await self._send(h11.EndOfMessage())

    async def head(self) -> None:
        """Wait for `status` and `headers`."""
        while not self.status:
            self._is_head(await self._event())

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body, as it comes, to its end."""
        while True:
            event = await self._event()
            if isinstance(event, h11.EndOfMessage):
                return
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def aclose(self) -> None:
        """Close the connection: what is under way is over, on both sides."""
        self._writer.transport.abort()

    def _is_head(self, event: h11.Event) -> bool:
        if not isinstance(event, h11.Response):
            return False
        self.status = event.status_code
        self.headers = httpx2.Headers(list(event.headers))
        return True

    async def _send(self, event: h11.Event) -> None:
        try:
            self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()
        except (OSError, h11.LocalProtocolError) as error:
            raise self._failed(error) from error

    async def _event(self, *, limited: bool = True) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    async with asyncio.timeout(self._timeout_s if limited else None):
                        self._http.receive_data(await self._reader.read(READ_BYTES))
                    continue
            except TimeoutError as error:
                if limited:
                    raise DeadlineExpired(f"Nothing came of the clip for {self._timeout_s:g} s.") from error
                raise
            except (OSError, h11.RemoteProtocolError) as error:
                raise self._failed(error) from error
            if isinstance(event, h11.ConnectionClosed) or not isinstance(event, h11.Event):
                raise self._failed(ConnectionError("the connection was closed"))
            return event

    def _failed(self, error: Exception) -> ConnectionFailed:
        failed = ConnectionFailed(f"{type(error).__name__}: {error}")
        failed.request_id = self._request_id
        return failed


def _tls() -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
