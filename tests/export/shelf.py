"""A real HTTP server on loopback: one file at every path, and the faults that real servers and lines have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"version-1"'


@dataclass
class Shelf:
    """What the server does; `requests` are the headers of what it was asked, `paths` the paths, in order."""

    content: bytes
    etag: str | None = ETAG
    last_modified: str | None = None
    ranges: bool = True
    ignores_if_range: bool = False
    says_length: bool = True
    shifted: int = 0  # bytes by which an answer to a range begins too late
    piece: int | None = None  # bytes that an answer to a range has at most
    cuts: list[int] = field(default_factory=list)  # after so many bytes of the body the line is cut, once each
    statuses: list[int] = field(default_factory=list)  # answered, once each, instead of the file
    headers: dict[str, str] = field(default_factory=dict)  # sent in addition
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def ranges_asked(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        shelf = self.shelf
        shelf.requests.append(dict(self.headers.items()))
        shelf.paths.append(self.path)
        if shelf.statuses and (status := shelf.statuses.pop(0)) != 200:
            body = b"<html>not the file</html>"
            self.answer(status, {"Content-Length": str(len(body))}, body)
            return
        start = self.start()
        headers = {"ETag": shelf.etag, "Last-Modified": shelf.last_modified}
        body = shelf.content[start:]
        if shelf.says_length:
            headers["Content-Length"] = str(len(body))
        if start == 0:
            self.answer(200, headers, body)
        elif not body:
            self.answer(416, {"Content-Range": f"bytes */{len(shelf.content)}", "Content-Length": "0"}, b"")
        else:
            body, shown = body[: shelf.piece], start + shelf.shifted
            headers["Content-Range"] = f"bytes {shown}-{start + len(body) - 1}/{len(shelf.content)}"
            headers["Content-Length"] = str(len(body))
            self.answer(206, headers, body)

    def start(self) -> int:
        """Where the answer begins: not at 0 only if the range is of the version that is here."""
        wanted, known = self.headers.get("Range"), self.headers.get("If-Range")
        if wanted is None or not self.shelf.ranges:
            return 0
        if known not in (self.shelf.etag, self.shelf.last_modified) and not self.shelf.ignores_if_range:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def answer(self, status: int, headers: dict[str, str | None], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, **self.shelf.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        cut = self.shelf.cuts.pop(0) if self.shelf.cuts and status < 300 else None
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass  # tests look at `requests`


@contextmanager
def serving(shelf: Shelf) -> Iterator[Shelf]:
    """Puts `shelf` on a free port; `shelf.url` is the file's address while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"shelf": shelf}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}/weights.pt"
    try:
        yield shelf
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
