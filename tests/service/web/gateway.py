"""A gateway in small: takes a path prefix off every request, passes it on, and names it where it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

PREFIX = "/tools/sr"


@contextmanager
def gateway(upstream: str, *, names_prefix: bool) -> Iterator[str]:
    """The gateway's address, without the prefix, for as long as the block. What is not under it gets 404."""
    asked = httpx2.Client(base_url=upstream, timeout=60.0, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            path = self.path.removeprefix(PREFIX)
            if not self.path.startswith(PREFIX):
                self.answer(httpx2.Response(404, content=b"not below the prefix"))
                return
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            if names_prefix:
                headers["X-Forwarded-Prefix"] = PREFIX
            self.answer(asked.request(self.command, path or "/", content=body, headers=headers))

        do_GET = do_POST = pass_on  # noqa: N815 - the library's names

        def answer(self, answer: httpx2.Response) -> None:
            self.send_response(answer.status_code)
            for name, value in answer.headers.multi_items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "content-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        asked.close()
