"""Downloads: a stored file as an answer, whole or by Range; what Starlette refuses in plain text is a problem here."""

from http import HTTPStatus

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from service.errors import BadRequest, RangeNotSatisfiable
from service.telemetry import RequestRecord


class StoredFileResponse(FileResponse):
    """A file that does not change. A HEAD, which the envelope makes a GET, does not read it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises BadRequest, RangeNotSatisfiable."""

        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _check(message)
            await send(message)

        record: RequestRecord = scope["state"]["record"]
        await super().__call__({**scope, "method": record.method}, receive, checked)


def _check(start: Message) -> None:
    if start["status"] == HTTPStatus.BAD_REQUEST:
        raise BadRequest("The Range header cannot be read; send it as `bytes=<first>-<last>`.")
    if start["status"] == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        content_range = dict(start["headers"])[b"content-range"].decode()
        size = int(content_range.rpartition("/")[2])
        raise RangeNotSatisfiable(
            f"The file has {size} bytes, and none of those that Range names.",
            members={"limit": size},
            headers={"Content-Range": content_range},
        )
