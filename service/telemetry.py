"""Telemetry: what one request leaves behind: its stage times, its facts, and one line in the log."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TextIO

import structlog
from opentelemetry import trace

tracer = trace.get_tracer("srserve")  # does nothing unless tracing is switched on
STAGES = ("read", "decode", "queue", "infer", "encode")


class StageTimes:
    """Seconds spent in each of STAGES so far. Stages do not overlap within one request."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block to stage `name`, whether it succeeds or not."""
        started = time.perf_counter()
        try:
            with tracer.start_as_current_span(name):
                yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Count `seconds` to stage `name`."""
        if name not in STAGES:
            raise ValueError(f"{name} is none of {STAGES}")
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def server_timing(self) -> str:
        """The value of a Server-Timing header (W3C), milliseconds; empty where no stage was reached."""
        return ", ".join(f"{name};dur={self.seconds[name] * 1e3:.1f}" for name in STAGES if name in self.seconds)


@dataclass
class RequestRecord:
    """What is known of one request; made by the envelope, filled on the way, logged once at the end."""

    request_id: str
    method: str = "GET"
    times: StageTimes = field(default_factory=StageTimes)
    facts: dict[str, object] = field(default_factory=dict)  # model, scale, tiles, pixels, bytes
    queue_class: Literal["interactive", "frames", "jobs"] = "interactive"  # the key's, where there are keys
    charged_pixels: int | None = None  # on the key's account; None: all input pixels


@dataclass(frozen=True)
class RequestOutcome:
    """How a request ended. `endpoint` is its route's template, None where none matched; `code` that of a problem."""

    endpoint: str | None
    status: int | None
    code: str | None
    seconds: float


def configure_logging(*, level: str, style: Literal["json", "console"], stream: TextIO | None = None) -> None:
    """Send our lines and those of the libraries (uvicorn's) to `stream` (default stdout) in one form.

    Called once by the process that serves, never at import: a host application keeps its own logging.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if style == "json"
        else [structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its warnings are of broken uploads, which are answered as problems; uvicorn's news are in our own lines.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
