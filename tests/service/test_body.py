"""A body is read whole or refused: by its type, its length, its pace, its form."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Message

from service.body import RequestBody, Upload
from service.errors import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    ClientClosed,
    EmptyBody,
    MalformedMultipart,
    MissingFile,
    ServiceError,
    TooManyParts,
    UnsupportedMedia,
)

FORM = "multipart/form-data; boundary=limit"
PICTURE = b"\x89PNG\r\n--limi\r\n\x00--limit\r\n and bytes that look like a boundary"


class Client:
    """Sends the chunks, then nothing, or goes away; counts what was taken."""

    def __init__(self, chunks: list[bytes], *, complete: bool = True, goes_away: bool = False) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": not complete or index < len(chunks) - 1}
            for index, chunk in enumerate(chunks)
        ]
        if goes_away:
            self._messages.append({"type": "http.disconnect"})
        self.taken = 0

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()  # for ever
        self.taken += 1
        return self._messages.pop(0)


def read(client: Client, *, max_bytes: int = 1000, timeout_s: float = 5.0, **headers: str) -> Upload:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = RequestBody(Headers(names), client.receive, max_bytes=max_bytes, timeout_s=timeout_s)
    return asyncio.run(body.read())


def form(*parts: tuple[str, bytes], end: bytes = b"--limit--\r\n") -> bytes:
    lines = [
        f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in parts
    ]
    return b"".join(lines) + end


def error(client: Client, kind: type[ServiceError], **arguments: Any) -> ServiceError:  # noqa: ANN401 - read's
    with pytest.raises(kind) as caught:
        read(client, **arguments)
    assert type(caught.value) is kind
    return caught.value


@pytest.mark.parametrize("content_type", ["", "image/png", "Text/HTML; charset=utf-8"])
def test_a_raw_body_comes_with_its_declared_type_whatever_that_is(content_type: str) -> None:
    upload = read(Client([b"abc", b"", b"def"]), content_type=content_type)
    assert upload == Upload(b"abcdef", content_type)


def test_a_compressed_body_is_refused_before_a_byte_is_read() -> None:
    client = Client([b"a"])
    assert "gzip" in error(client, UnsupportedMedia, content_encoding="gzip").detail
    assert client.taken == 0


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert read(Client([b"x" * 1000]), content_length="1000").content == b"x" * 1000


def test_a_body_that_declares_too_much_is_refused_before_a_byte_is_read() -> None:
    client = Client([b"x" * 1001])
    refused = error(client, BodyTooLarge, content_length="1001")
    assert refused.members == {"limit": 1000, "actual": 1001}
    assert client.taken == 0


def test_a_body_that_declares_nothing_is_refused_at_the_byte_that_is_too_much() -> None:
    client = Client([b"x" * 400] * 10)
    refused = error(client, BodyTooLarge)
    assert refused.members == {"limit": 1000, "actual": 1200}
    assert client.taken == 3


@pytest.mark.parametrize("length", ["ten", "-1", "1e3", "1,2", "²", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    error(Client([b"a"]), BadRequest, content_length=length)


@pytest.mark.parametrize("content_type", ["image/png", FORM])
def test_a_body_that_does_not_end_in_time_is_refused(content_type: str) -> None:
    refused = error(
        Client([form(("file", b"abc"), end=b"")], complete=False),
        BodyTimeout,
        timeout_s=0.05,
        content_type=content_type,
    )
    assert refused.members["limit"] == 0.05
    assert refused.headers == {"Connection": "close"}


def test_a_client_that_goes_away_while_it_sends_is_noticed() -> None:
    error(Client([b"abc"], complete=False, goes_away=True), ClientClosed)


def test_an_empty_body_is_refused() -> None:
    error(Client([b""]), EmptyBody)
    error(Client([form(("file", b""))]), EmptyBody, content_type=FORM)


@given(cuts=st.lists(st.integers(1, len(form(("file", PICTURE))) - 1), max_size=12))
def test_a_form_is_read_the_same_wherever_its_bytes_are_cut(cuts: list[int]) -> None:
    whole = form(("file", PICTURE))
    edges = [0, *sorted(cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(edges)]
    assert read(Client(chunks), content_type=FORM) == Upload(PICTURE, "image/png")


FRAGMENTS = [
    b"--limit", b"--limit--", b"--", b"\r\n", b"\r", b"\n", b":", b";", b" ", b"\x00", b"\xff", b"limit",
    b'Content-Disposition: form-data; name="file"', b"Content-Disposition: ", b"Content-Type: image/png", b'"',
    b"x" * 500,
]  # fmt: skip
TYPES = [FORM, "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "image/png"]


@given(
    fragments=st.lists(st.sampled_from(FRAGMENTS), max_size=30),
    content_type=st.sampled_from(TYPES) | st.text(st.characters(max_codepoint=255), max_size=40),
    cut=st.integers(0, 200),
)
def test_whatever_is_sent_is_read_or_refused(fragments: list[bytes], content_type: str, cut: int) -> None:
    whole = b"".join(fragments)
    status = 200
    try:
        read(Client([whole[:cut], whole[cut:]]), content_type=content_type, max_bytes=20_000)
    except ServiceError as error:
        status = error.status
    assert status in (200, 400, 415)


def test_a_form_with_text_around_it_is_read() -> None:
    body = b"\r\n" + form(("file", b"abc")) + b"an epilogue"
    assert read(Client([body]), content_type=FORM).content == b"abc"


def test_a_forms_part_without_a_type_is_a_picture_of_no_declared_type() -> None:
    body = b'--limit\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--limit--'
    assert read(Client([body]), content_type=FORM) == Upload(b"abc", "")


def test_a_form_with_a_second_part_is_refused() -> None:
    body = form(("file", b"abc"), ("model", b"edsr"))
    assert error(Client([body]), TooManyParts, content_type=FORM).members == {"limit": 1}


def test_a_form_whose_part_has_another_name_is_told_the_right_one() -> None:
    refused = error(Client([form(("image", b"abc"))]), MissingFile, content_type=FORM)
    assert refused.members == {"expected": "file", "actual": "image"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"--limit--\r\n", id="no-part"),
        pytest.param(b"--limit\r\n\r\nabc\r\n--limit--\r\n", id="no-name"),
        pytest.param(b"--limit\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--limit--\r\n", id="no-name-option"),
    ],
)
def test_a_form_without_the_file_is_refused(body: bytes) -> None:
    error(Client([body]), MissingFile, content_type=FORM)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"abc", id="no-form"),
        pytest.param(b"--other\r\n\r\nabc\r\n--other--\r\n", id="another-boundary"),
        pytest.param(form(("file", b"abc"), end=b""), id="no-end"),
        pytest.param(form(("file", b"abc"), end=b"--limi"), id="end-cut-short"),
        pytest.param(b"--limit\r\nContent-Disposition form-data\r\n\r\n", id="header-without-colon"),
        pytest.param(b"--limit\r\nX: " + b"x" * 9000 + b"\r\n\r\nabc\r\n--limit--", id="header-too-long"),
        pytest.param(b"--limit\r\n" + b"X: y\r\n" * 100 + b"\r\nabc\r\n--limit--", id="too-many-headers"),
    ],
)
def test_a_broken_form_is_refused(body: bytes) -> None:
    error(Client([body]), MalformedMultipart, content_type=FORM, max_bytes=100_000)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 300])
def test_a_form_without_a_usable_boundary_is_refused_before_a_byte_is_read(content_type: str) -> None:
    client = Client([b"a"])
    error(client, MalformedMultipart, content_type=content_type)
    assert client.taken == 0


def connected(client: Client, work: Callable[[], Coroutine[Any, Any, str]]) -> str:
    async def run() -> str:
        body = RequestBody(Headers({}), client.receive, max_bytes=10, timeout_s=5)
        await body.chunk()
        return await body.while_connected(work())

    return asyncio.run(run())


def test_work_ends_with_its_result_while_the_client_is_there() -> None:
    async def work() -> str:
        await asyncio.sleep(0.01)
        return "done"

    assert connected(Client([b"x"]), work) == "done"


def test_works_own_error_comes_out_as_it_is() -> None:
    async def work() -> str:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        connected(Client([b"x"]), work)


def test_work_is_cancelled_when_the_client_goes_away_and_has_ended_before_that_is_told() -> None:
    steps: list[str] = []

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")
            raise
        return ""

    with pytest.raises(ClientClosed):
        connected(Client([b"x"], goes_away=True), work)
    assert steps == ["cleaned up"]


def test_a_client_is_not_listened_to_twice_while_its_body_comes() -> None:
    """Whoever reads the body notices that the client has gone; a second listener would take the body's bytes."""
    client = Client([b"a", b"b"], complete=False)

    async def work() -> str:
        await asyncio.sleep(0.05)
        return "done"

    async def run() -> str:
        body = RequestBody(Headers({}), client.receive, max_bytes=10, timeout_s=5)
        await body.chunk()
        return await body.while_connected(work())

    assert asyncio.run(run()) == "done"
    assert client.taken == 1


def test_work_is_cancelled_with_the_request() -> None:
    ended = False

    async def work() -> str:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True
        return ""

    async def cancel() -> None:
        body = RequestBody(Headers({}), Client([]).receive, max_bytes=10, timeout_s=5)
        task = asyncio.create_task(body.while_connected(work()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ended
