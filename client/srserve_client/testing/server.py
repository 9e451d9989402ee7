"""FakeServer: a FakeService on a loopback port, for what is no Python or wants an address."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx2

from srserve_client.testing.service import FakeService

BODILESS = frozenset({204, 304})
HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "connection"})


class FakeServer:
    """Listens from the beginning of the `with` block to its end; `url` is its address."""

    def __init__(self, service: FakeService | None = None) -> None:
        self.service = service or FakeService()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.service))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler(service: FakeService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = f"http://{self.headers['host']}{self.path}"
            body = self.body()
            request = httpx2.Request(self.command, url, headers=list(self.headers.items()), content=body)
            try:
                response = service.stream(request)
            except httpx2.ConnectError:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(response.status_code)
            for name, value in response.headers.multi_items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            has_body = response.status_code not in BODILESS and self.command != "HEAD"
            if has_body:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in filter(None, response.iter_bytes() if has_body else ()):
                self.send_chunk(chunk)
            if has_body:
                self.send_chunk(b"")
            for _ in body:  # what was not read would be taken for the next request
                pass

        do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = answer  # noqa: N815 - the library's names

        def body(self) -> Iterator[bytes]:
            """What the request carries, piece by piece as it comes."""
            if "chunked" in self.headers.get("transfer-encoding", ""):
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            elif length := int(self.headers.get("content-length", "0")):
                yield self.rfile.read(length)

        def send_chunk(self, chunk: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

        def log_message(self, *args: object) -> None:
            """The tests that use it have their own words."""

    return Handler
