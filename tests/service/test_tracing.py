"""Traces: sent to a collector where one is named, joined to the caller's, and never a reason to fail."""

import gzip
import http.server
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.tracing import TracingUnavailableError, tracing_config
from tests.conftest import Launch
from tests.service.pictures import as_file, pixels

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector:
    """An OTLP collector on a loopback port that keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        kept = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kept.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
                """Silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> dict[str, dict[str, object]]:
        """Every span's facts, by its name."""
        found = {}
        for request in self.requests:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        values = {one.key: one.value for one in span.attributes}
                        ids = {
                            "trace": span.trace_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "id": span.span_id.hex(),
                        }
                        found[span.name] = ids | {
                            key: value.string_value or value.int_value or value.double_value
                            for key, value in values.items()
                        }
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


def test_a_request_is_a_span_of_the_callers_trace_with_its_stages(
    launch: Launch, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    server = launch(tracing=True)
    with server.client() as client:
        path = "/upscale?model=nearest&scale=2"
        answer = client.post(path, content=as_file(pixels(9, 7)), headers={"traceparent": TRACEPARENT})
        assert answer.status_code == 200
        client.get("/livez")
    assert server.stop() == 0  # what is not yet sent is sent now
    spans = collector.spans()
    request = spans["POST /upscale"]
    assert (request["trace"], request["parent"]) == (TRACE, PARENT)
    assert (request["sr.model"], request["sr.scale"], request["sr.input_pixels"]) == ("nearest", 2, 63)
    assert request["sr.infer_s"]
    for stage in ("read", "decode", "encode"):
        assert (spans[stage]["trace"], spans[stage]["parent"]) == (TRACE, request["id"])
    assert not any("livez" in name for name in spans)
    (line,) = [line for line in server.lines() if line["path"] == "/upscale"]
    assert line["trace_id"] == TRACE


def test_a_collector_that_is_not_there_costs_no_request(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    server = launch(tracing=True)
    with server.client() as client:
        assert client.post("/upscale?model=nearest&scale=2", content=as_file(pixels(4, 4))).status_code == 200
    assert server.stop() == 0


def test_without_tracing_the_log_names_the_callers_trace_all_the_same(launch: Launch) -> None:
    server = launch()
    with server.client() as client:
        client.get("/models", headers={"traceparent": TRACEPARENT})
        client.get("/models/none", headers={"traceparent": "nonsense"})
    assert server.stop() == 0  # a line comes after its answer
    (known,) = [line for line in server.lines() if line["path"] == "/models"]
    (unknown,) = [line for line in server.lines() if line["path"] == "/models/none"]
    assert known["trace_id"] == TRACE
    assert "trace_id" not in unknown


def test_tracing_to_nowhere_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with pytest.raises(TracingUnavailableError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        tracing_config(enabled=True)
