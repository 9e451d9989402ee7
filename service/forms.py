"""Forms: multipart/form-data (RFC 7578) taken apart as it comes, into the beginnings, bytes and ends of its parts."""

from collections.abc import Iterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import MalformedMultipart


@dataclass(frozen=True)
class PartBegin:
    """A part's head. What it lacks is empty."""

    name: str
    media_type: str


@dataclass(frozen=True)
class PartData:
    """Some bytes of the part that began last."""

    content: memoryview


@dataclass(frozen=True)
class PartEnd:
    """The part that began last is complete."""


FormEvent = PartBegin | PartData | PartEnd


def form_boundary(content_type: str) -> bytes | None:
    """The boundary that a Content-Type names; None where it is no form. Raises MalformedMultipart where it must be."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return None
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise MalformedMultipart("Content-Type multipart/form-data names no boundary.")
    return boundary


class FormReader:
    """Takes a form chunk by chunk, in chunks of any size; holds no more than a part's head.

    Raises MalformedMultipart for a boundary that none may have, as the methods do for bytes that are no form.
    """

    def __init__(self, boundary: bytes) -> None:
        self.complete = False
        """Whether the closing boundary has come."""
        self._events: list[FormEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise MalformedMultipart(f"The boundary is not valid: {error}.") from error

    def feed(self, chunk: bytes) -> Iterator[FormEvent]:
        """What these bytes bring, in order; what came before a fault is given before the error is raised."""
        fault: FormParserError | None = None
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            fault = error
        events, self._events = self._events, []
        yield from events
        if fault is not None:
            raise MalformedMultipart(f"The form cannot be parsed: {fault}.") from fault

    def finish(self) -> None:
        """No more bytes will come."""
        if not self.complete:
            raise MalformedMultipart("The form ends before its closing boundary.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        headers, self._headers = self._headers, {}
        _, options = parse_options_header(headers.get(b"content-disposition"))
        self._events.append(
            PartBegin(
                name=options.get(b"name", b"").decode("utf-8", "replace"),
                media_type=headers.get(b"content-type", b"").decode("latin-1"),
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(memoryview(data)[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(PartEnd())

    def _on_end(self) -> None:
        self.complete = True
