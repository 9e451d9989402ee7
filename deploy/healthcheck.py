"""Health check of the container: exit status 0 while /readyz says 200, else 1 with its answer for `docker inspect`."""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def main() -> int:
    """Ask the service of this container."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("SR_PORT") or 8000), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        print(answer.read(1000).decode(errors="replace"))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    return 0 if answer.status == http.client.OK else 1


sys.exit(main())
