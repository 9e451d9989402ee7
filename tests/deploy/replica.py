"""A replica played by the test: it answers /readyz by itself and hands every other request over as it comes."""

import queue
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request that the gateway sent, and the connection to answer it on."""

    connection: socket.socket
    head: str
    body: bytearray

    @property
    def headers(self) -> dict[str, str]:
        lines = [line.partition(": ") for line in self.head.split("\r\n")[1:] if line]
        return {name.lower(): value for name, _, value in lines}

    def read(self, size: int) -> bytes:
        """The first `size` bytes of the body as sent, chunk headers included; waits for them."""
        while len(self.body) < size:
            received = self.connection.recv(1 << 16)
            assert received, f"the gateway closed after {len(self.body)} bytes"
            self.body += received
        return bytes(self.body[:size])

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer, and the end of the connection."""
        self.read(int(self.headers.get("content-length", "0")))
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        self.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{''.join(lines)}\r\n".encode() + body)
        self.connection.close()

    def reset(self) -> None:
        """Break off without an answer, when the whole request has come."""
        self.read(int(self.headers.get("content-length", "0")))
        self.connection.close()


@dataclass
class Replica:
    """Listens on a loopback port until `close`. `ready` is what /readyz says; `always` answers all else, if set."""

    ready: int = 200
    always: int | None = None
    asked: int = 0  # requests other than /readyz
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=128))
    waiting: "queue.Queue[Exchange]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self, timeout_s: float = 30.0) -> Exchange:
        """The next request, to be answered by the test."""
        return self.waiting.get(timeout=timeout_s)

    def close(self) -> None:
        """From now on connections are refused."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = bytearray()
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(1 << 16)
            if not chunk:
                return
            received += chunk
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        exchange = Exchange(connection, head.decode("latin-1"), bytearray(body))
        if exchange.head.startswith("GET /readyz"):
            exchange.answer(self.ready)
            return
        self.asked += 1
        if self.always is None:
            self.waiting.put(exchange)
        else:
            exchange.answer(self.always)
