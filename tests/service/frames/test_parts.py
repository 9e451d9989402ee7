"""Frames come out of a form one by one, and nothing is read that nobody asked for."""

import asyncio
from contextlib import aclosing

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from service.body import BodyStream
from service.errors import (
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
from service.frames.parts import FrameLimits, FramePart, FrameParts

FORM = "multipart/form-data; boundary=limit"
LIMITS = FrameLimits(max_frames=10, max_frame_bytes=100, frame_timeout_s=20)
END = b"--limit--\r\n"


def part(content: bytes, name: str = "frame") -> bytes:
    head = f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: image/png\r\n\r\n'
    return head.encode() + content + b"\r\n"


class Sender:
    """Sends the chunks, and knows how many were taken. After the last one nothing comes; None: it goes away."""

    def __init__(self, chunks: list[bytes | None], *, pause_s: float = 0.0) -> None:
        self._chunks = chunks
        self._pause_s = pause_s
        self.taken = 0

    async def receive(self) -> Message:
        if self.taken == len(self._chunks):
            await asyncio.Event().wait()
        await asyncio.sleep(self._pause_s)
        chunk = self._chunks[self.taken]
        self.taken += 1
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": END not in chunk}

    def parts(self, limits: FrameLimits = LIMITS, content_type: str = FORM) -> FrameParts:
        return FrameParts(BodyStream(Headers({"content-type": content_type}), self.receive, max_bytes=None), limits)


def read(sender: Sender, limits: FrameLimits = LIMITS) -> list[FramePart]:
    async def collect() -> list[FramePart]:
        async with aclosing(sender.parts(limits).read()) as parts:
            return [part async for part in parts]

    return asyncio.run(collect())


def test_frames_come_in_order_with_their_types() -> None:
    contents = [b"a" * 40, b"--limi\r\n", b"\x00" * 100]
    whole = b"".join(map(part, contents)) + END
    for size in (1, 7, 64, len(whole)):
        chunks: list[bytes | None] = [whole[start : start + size] for start in range(0, len(whole), size)]
        if size == 1:
            chunks = [*chunks[: -len(END)], END]  # the sender here ends with this chunk
        elif END not in (chunks[-1] or b""):
            chunks = [b"".join(filter(None, chunks[:-2])), b"".join(filter(None, chunks[-2:]))]
        assert read(Sender(chunks)) == [
            FramePart(index, content, "image/png") for index, content in enumerate(contents)
        ]


def test_a_frame_is_given_before_the_next_is_read() -> None:
    async def scenario() -> None:
        sender = Sender([part(b"one") + b"--limit\r\n", part(b"two")[9:], END])
        async with aclosing(sender.parts().read()) as parts:
            assert (await anext(parts)).content == b"one"
            assert sender.taken == 1

    asyncio.run(scenario())


def test_a_frame_that_is_too_large_or_empty_is_its_own_problem() -> None:
    found = read(Sender([part(b"x" * 101) + part(b"") + part(b"fine") + END]))
    too_large, empty, fine = (frame.content for frame in found)
    assert isinstance(too_large, BodyTooLarge)
    assert too_large.members == {"limit": 100, "actual": 101}
    assert isinstance(empty, EmptyBody)
    assert fine == b"fine"
    assert [frame.index for frame in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("chunks", "kind", "before"),
    [
        ([END], MissingFile, 0),
        ([part(b"x", "picture") + END], MissingFile, 0),
        ([part(b"x") + part(b"y", "mask") + END], MissingFile, 1),
        ([part(b"x") * 11 + END], TooManyParts, 10),
        ([part(b"x") + b"--limit\r\nno header\r\n\r\n"], MalformedMultipart, 1),
        ([part(b"x") + b"--limit\r\n", None], ClientClosed, 1),
    ],
)
def test_what_ends_the_clip_comes_after_the_frames_before_it(
    chunks: list[bytes | None], kind: type[ServiceError], before: int
) -> None:
    frames: list[FramePart] = []

    async def collect() -> None:
        async with aclosing(Sender(chunks).parts().read()) as parts:
            async for frame in parts:
                frames.append(frame)  # noqa: PERF401 - one by one, for what comes before the error

    with pytest.raises(kind):
        asyncio.run(collect())
    assert len(frames) == before


def test_a_form_that_breaks_off_is_told_as_such() -> None:
    async def scenario() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": part(b"x"), "more_body": False}

        body = BodyStream(Headers({"content-type": FORM}), receive, max_bytes=None)
        async with aclosing(FrameParts(body, LIMITS).read()) as parts:
            with pytest.raises(MalformedMultipart, match="closing boundary"):
                [frame async for frame in parts]

    asyncio.run(scenario())


@pytest.mark.parametrize("content_type", ["", "image/png", "multipart/mixed; boundary=limit"])
def test_what_is_no_form_is_refused_at_once(content_type: str) -> None:
    sender = Sender([b"x"])
    with pytest.raises(UnsupportedMedia):
        sender.parts(content_type=content_type)
    assert sender.taken == 0


def test_a_frame_has_a_time_to_come_in_and_the_clip_has_none() -> None:
    limits = FrameLimits(max_frames=100, max_frame_bytes=100, frame_timeout_s=0.4)
    frames: list[bytes | None] = [part(b"x") for _ in range(12)]
    assert len(read(Sender([*frames, END], pause_s=0.05), limits)) == 12  # longer than one frame may take
    with pytest.raises(BodyTimeout) as caught:
        read(Sender([part(b"x"), *[b"y"] * 50], pause_s=0.05), limits)  # something always comes, but no frame
    assert caught.value.members["limit"] == 0.4


def test_a_consumer_that_takes_its_time_is_not_the_senders_fault() -> None:
    async def scenario() -> None:
        limits = FrameLimits(max_frames=100, max_frame_bytes=100, frame_timeout_s=0.1)
        async with aclosing(Sender([part(b"x"), part(b"y"), END]).parts(limits).read()) as parts:
            await anext(parts)
            await asyncio.sleep(0.3)
            assert (await anext(parts)).index == 1

    asyncio.run(scenario())
