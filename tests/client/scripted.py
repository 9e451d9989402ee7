"""A server on a loopback port that answers as it is told, one answer after another, and keeps what it was asked."""

import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Scripted:
    """One answer. `cut` breaks the connection: before the head, or within the body where there is one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    wait: threading.Event | None = None  # answered when it is set


@dataclass(frozen=True)
class Asked:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """`asked` grows as requests come; the last answer of the script is repeated."""

    def __init__(self, script: list[Scripted]) -> None:
        self.asked: list[Asked] = []
        self._script = deque(script)
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def handle_expect_100(self) -> bool:
                return True  # what is scripted is the answer, and no word before it

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                scripted = server.note(Asked(self.command, self.path, headers, body))
                if scripted.wait is not None:
                    scripted.wait.wait(60)
                if scripted.cut and not scripted.body:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(scripted.status)
                for name, value in scripted.headers.items():
                    self.send_header(name, value)
                if scripted.status != 304:
                    self.send_header("Content-Length", str(len(scripted.body) * (2 if scripted.cut else 1)))
                self.end_headers()
                self.wfile.write(scripted.body)
                unread = "chunked" in headers.get("transfer-encoding", "")
                self.close_connection = self.close_connection or scripted.cut or unread

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def note(self, asked: Asked) -> Scripted:
        with self._lock:
            self.asked.append(asked)
            return self._script.popleft() if len(self._script) > 1 else self._script[0]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def scripted(*script: Scripted) -> Iterator[ScriptedServer]:
    """A server that gives these answers, for as long as the block."""
    server = ScriptedServer(list(script))
    server.start()
    try:
        yield server
    finally:
        server.stop()
