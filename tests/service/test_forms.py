"""A form is taken apart as it comes, however it is cut into chunks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedMultipart
from service.forms import FormEvent, FormReader, PartBegin, PartData, form_boundary

PARTS = [("frame", "image/png", b"abc\r\n--limi\r\n"), ("frame", "", b""), ("x\u00e9", "image/webp", bytes(range(256)))]


def form(end: bytes = b"--limit--\r\n") -> bytes:
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, kind, content in PARTS
    ]
    return b"".join(parts) + end


def parts_of(events: list[FormEvent]) -> list[tuple[str, str, bytes]]:
    """The parts that the events tell of, each of which must have ended."""
    parts: list[tuple[str, str, bytes]] = []
    open_part = False
    for event in events:
        if isinstance(event, PartBegin):
            assert not open_part
            open_part = True
            parts.append((event.name, event.media_type, b""))
        elif isinstance(event, PartData):
            assert open_part
            parts[-1] = (*parts[-1][:2], parts[-1][2] + bytes(event.content))
        else:
            assert open_part
            open_part = False
    assert not open_part
    return parts


@given(st.lists(st.integers(0, len(form())), max_size=30))
def test_the_same_parts_come_of_chunks_of_any_size(cuts: list[int]) -> None:
    whole = form()
    reader = FormReader(b"limit")
    places = [0, *sorted(cuts), len(whole)]
    events = [event for begin, end in pairwise(places) for event in reader.feed(whole[begin:end])]
    assert parts_of(events) == PARTS
    reader.finish()


def test_what_came_before_a_fault_is_given_first() -> None:
    events: list[FormEvent] = []

    def feed() -> None:
        for event in FormReader(b"limit").feed(form(end=b"--limit\r\nno header\r\n\r\n")):
            events.append(event)  # noqa: PERF402 - one by one, for what is given before the error

    with pytest.raises(MalformedMultipart):
        feed()
    assert parts_of(events) == PARTS


def test_a_form_without_its_closing_boundary_is_incomplete() -> None:
    reader = FormReader(b"limit")
    list(reader.feed(form(end=b"")))
    with pytest.raises(MalformedMultipart, match="closing boundary"):
        reader.finish()


def test_a_head_that_never_ends_is_refused() -> None:
    reader = FormReader(b"limit")
    with pytest.raises(MalformedMultipart):
        list(reader.feed(b"--limit\r\nContent-Disposition: " + b"x" * 100_000))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=limit", b"limit"),
        ('Multipart/Form-Data; boundary="a b"', b"a b"),
        ("image/png", None),
        ("", None),
        ("multipart/mixed; boundary=limit", None),
    ],
)
def test_a_form_is_known_by_its_content_type(content_type: str, expected: bytes | None) -> None:
    assert form_boundary(content_type) == expected


def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(MalformedMultipart, match="names no boundary"):
        form_boundary("multipart/form-data")
