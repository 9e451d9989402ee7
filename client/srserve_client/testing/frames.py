"""The fake's clips: each frame is answered as soon as it has come, by the rules of a single picture."""

import json
from collections.abc import Iterable, Iterator
from email.message import Message

import httpx2

from srserve_client.answers import PROBLEM_JSON
from srserve_client.errors import ProblemError
from srserve_client.problems import EmptyBody, MalformedMultipart, MissingFile, UnsupportedMedia
from srserve_client.testing.documents import VERSION, problem_document
from srserve_client.testing.parameters import Parameters
from srserve_client.testing.pictures import Maker

BOUNDARY = "fake"
FIELD = 'name="frame"'


def clip_response(
    request: httpx2.Request, parameters: Parameters, make: Maker, request_id: str
) -> tuple[Iterator[bytes], dict[str, str]]:
    """The parts of the answer, as the frames come, and its headers. Raises what is refused before the first frame."""
    message = Message()
    message["Content-Type"] = request.headers.get("content-type", "")
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/form-data":
        raise UnsupportedMedia("Frames come as a form.", members={"supported": ["multipart/form-data"]})
    if boundary is None:
        raise MalformedMultipart("The form names no boundary.")
    frames = _frames(request.stream, b"--" + boundary.encode())  # type: ignore[arg-type]  # a sync one, in a server
    first = next(frames, None)
    if first is None:
        raise MissingFile("The form has no part; send each frame as a part 'frame'.")
    headers = {
        "Content-Type": f"multipart/mixed; boundary={BOUNDARY}",
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",
    }
    return _answer(first, frames, parameters, make, request_id), headers


def _answer(
    first: bytes, frames: Iterator[bytes], parameters: Parameters, make: Maker, request_id: str
) -> Iterator[bytes]:
    counts = {"succeeded": 0, "failed": 0}
    content: bytes | None = first
    while content is not None:
        index = counts["succeeded"] + counts["failed"]
        try:
            if not content:
                raise EmptyBody("The frame has 0 bytes.")
            made, media_type, _, _ = make(content, parameters)
            counts["succeeded"] += 1
            yield _part(made, media_type, index=index, name=f"{index:06d}.{media_type.rpartition('/')[2]}")
        except ProblemError as error:
            counts["failed"] += 1
            document = {**problem_document(error, request_id), "frame": index}
            yield _part(json.dumps(document).encode(), PROBLEM_JSON, index=index, name=f"{index:06d}.problem.json")
        content = next(frames, None)
    summary = {
        "frames": sum(counts.values()),
        **counts,
        "cuts": [],
        "complete": True,
        "model": parameters.model.name,
        "model_version": VERSION,
        "scale": int(parameters.scale or 0),
        "device": "cpu",
    }
    yield _part(json.dumps(summary).encode(), "application/json", index=None, name="summary.json")
    yield f"--{BOUNDARY}--\r\n".encode()


def _part(content: bytes, media_type: str, *, index: int | None, name: str) -> bytes:
    lines = [
        f"--{BOUNDARY}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(content)}",
        f'Content-Disposition: attachment; filename="{name}"',
        *([] if index is None else [f"X-Frame-Index: {index}"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content + b"\r\n"


def _frames(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The content of each part `frame`, as soon as the boundary after it has come."""
    buffer = b""
    has_begun = False
    for chunk in chunks:
        buffer += chunk
        while True:
            delimiter = (b"\r\n" if has_begun else b"") + boundary
            at = buffer.find(delimiter)
            if at < 0 or len(buffer) < at + len(delimiter) + 2:
                break
            if has_begun:
                head, _, content = buffer[:at].partition(b"\r\n\r\n")
                if FIELD.encode() not in head:
                    raise MissingFile("A part of the form is not called 'frame'.")
                yield content
            has_begun = True
            rest = buffer[at + len(delimiter) :]
            if rest.startswith(b"--"):
                return
            buffer = rest[2:]
