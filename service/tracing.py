"""Tracing: OpenTelemetry spans by FastAPI's own switch, and the trace's id in the log whether they are sent or not."""

import importlib.util
import os
from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import SpanContext, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from service.telemetry import RequestRecord

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
UNTRACED_PATHS = frozenset({"/livez", "/readyz"})  # asked every few seconds


class TracingUnavailableError(Exception):
    """Tracing was asked for, and could not be."""


def tracing_config(*, enabled: bool) -> TelemetryConfig:
    """What FastAPI is to trace. Where spans go is read from OpenTelemetry's own OTEL_ variables.

    Raises TracingUnavailableError when they name no place, or when the packages are not installed.
    """
    if enabled:
        if not any(os.environ.get(name) for name in ENDPOINTS):
            raise TracingUnavailableError(
                f"SR_TRACING is on, but nothing says where spans go. Cure: set {ENDPOINTS[1]}, "
                "such as http://collector:4318, or switch it off."
            )
        if importlib.util.find_spec("opentelemetry.sdk") is None:
            raise TracingUnavailableError(
                "SR_TRACING is on, but the packages that send spans are missing. Cure: install the extra 'tracing'."
            )
    return {
        "tracing": enabled,
        "auto_configure": enabled,
        "operation_spans": False,
        "metrics": False,  # service/metrics.py
        "logs": False,
        "exclude": _is_untraced,
    }


def trace_id_of(scope: Scope) -> str | None:
    """The trace that the request belongs to: our span's, else the one that its traceparent header names."""
    own = trace.get_current_span().get_span_context()
    return _id(own) if own.is_valid else _id(_given(scope))


def describe_span(record: RequestRecord) -> None:
    """Writes the request's facts and stage times to its span, where there is one."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    span.set_attribute("sr.request_id", record.request_id)
    for name, value in record.facts.items():
        if isinstance(value, str | int | float):
            span.set_attribute(f"sr.{name}", value)
    for stage, seconds in record.times.seconds.items():
        span.set_attribute(f"sr.{stage}_s", round(seconds, 6))


def _given(scope: Scope) -> SpanContext:
    carrier = {"traceparent": Headers(scope=scope).get("traceparent", "")}
    context = TraceContextTextMapPropagator().extract(carrier)
    return trace.get_current_span(context).get_span_context()


def _id(context: SpanContext) -> str | None:
    return format_trace_id(context.trace_id) if context.is_valid else None


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in UNTRACED_PATHS
