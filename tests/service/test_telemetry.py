"""A request's stage times add up, come in the order of the way, and are valid Server-Timing."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.telemetry import StageTimes, configure_logging


def test_stage_times_come_in_the_order_of_the_way_in_milliseconds() -> None:
    times = StageTimes()
    times.add("encode", 0.5)
    times.add("read", 0.0012)
    times.add("encode", 0.25)
    assert times.server_timing() == "read;dur=1.2, encode;dur=750.0"


def test_no_stage_means_no_header() -> None:
    assert StageTimes().server_timing() == ""


def test_a_stage_that_fails_is_counted_too() -> None:
    times = StageTimes()
    with pytest.raises(ZeroDivisionError), times.stage("decode"):
        _ = 1 / 0
    assert times.seconds["decode"] > 0


def test_an_unknown_stage_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="sleep"):
        StageTimes().add("sleep", 1)


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_as_it_was")
def test_our_lines_and_the_libraries_lines_are_json_with_the_request_bound_to_them() -> None:
    stream = io.StringIO()
    configure_logging(level="info", style="json", stream=stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("service").info("ours", pixels=7)
        logging.getLogger("uvicorn.error").warning("theirs %d", 8)
    structlog.get_logger("service").debug("too quiet")
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["pixels"], ours["level"], ours["request_id"]) == ("ours", 7, "info", "r1")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("theirs 8", "warning", "r1")
    assert "timestamp" in ours
    assert "timestamp" in theirs


@pytest.mark.usefixtures("_logging_as_it_was")
def test_a_logged_error_is_one_line_with_its_causes() -> None:
    stream = io.StringIO()
    configure_logging(level="info", style="json", stream=stream)
    try:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise ValueError("the error") from cause
    except ValueError:
        structlog.get_logger("service").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "the cause" in json.loads(line)["exception"]
    assert "the error" in json.loads(line)["exception"]
