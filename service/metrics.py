"""Metrics: what Prometheus reads of this process. Base units, counters end in _total, nothing is labelled by who asks.

Labels have few values by construction: endpoints are route templates, models those of the store, codes those of the
error tree. Counted in one place each: requests where the envelope ends them, batches where the scheduler runs them.
"""

import platform
from collections.abc import Callable, Iterable
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from service.telemetry import STAGES, RequestOutcome, RequestRecord

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
FILL = (0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)
RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
NO_ENDPOINT = "none"  # no route matched, or the request was no HTTP


class _Watched(Collector):
    """A counter whose value is kept elsewhere."""

    def __init__(self, name: str, text: str, value: Callable[[], float], labels: dict[str, str]) -> None:
        self._name, self._text, self._value, self._labels = name, text, value, labels

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), self._value())
        yield family


# Why a request that could be understood was not carried out, by the problem's code. What is not here was a mistake of
# the caller's or a fault of ours, and stands in sr_requests_total like all others.
REJECTIONS = {
    "overloaded": "overloaded",
    "quota-exceeded": "quota",
    "unauthenticated": "key",
    "forbidden": "key",
    "model-not-allowed": "key",
    "deadline-exceeded": "deadline",
    "body-too-large": "too_large",
    "too-many-pixels": "too_large",
    "output-too-large": "too_large",
    "too-large-for-sync": "too_large",
    "too-many-parts": "too_large",
    "body-timeout": "slow",
    "draining": "draining",
    "not-ready": "not_ready",
    "storage-full": "storage",
}


class Metrics:
    """All instruments of one service. Counting may be done from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._models: frozenset[str] = frozenset()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._make_request_instruments()
        self._make_batch_instruments()
        self._make_state_instruments()

    def _make_request_instruments(self) -> None:
        self._requests = self._counter(
            "sr_requests", "Requests answered", "endpoint", "model", "scale", "status", "code"
        )
        self._rejections = self._counter("sr_rejections", "Requests refused for want of room, time or right", "reason")
        for reason in sorted(set(REJECTIONS.values())):
            self._rejections.labels(reason)  # from zero, so that the first one is a rise
        self._cancellations = self._counter("sr_cancellations", "Requests given up", "cause")
        for cause in ("disconnect", "deadline"):
            self._cancellations.labels(cause)
        self._in_progress = Gauge("sr_requests_in_progress", "Requests under way", registry=self.registry)
        self._durations = self._histogram(
            "sr_request_duration_seconds", "From the request's head to the answer's end", SECONDS, "endpoint", "model"
        )
        self._stages = self._histogram(
            "sr_stage_duration_seconds", "Of one request in one stage", SECONDS, "stage", "model"
        )
        self._input_pixels = self._counter("sr_input_pixels", "Pixels of pictures taken in", "model")
        self._output_pixels = self._counter("sr_output_pixels", "Pixels of pictures given out", "model")
        self._padding_pixels = self._counter(
            "sr_padding_pixels", "Pixels that networks saw beyond those of the pictures: halos and overlap", "model"
        )
        self._kept = self._counter("sr_kept_answers", "Requests for which a kept answer was looked for", "result")
        for result in ("hit", "miss"):
            self._kept.labels(result)
        self._estimates = self._histogram(
            "sr_estimate_error_ratio",
            "Predicted over real seconds of a request, once admitted",
            RATIOS,
            "model",
        )

    def _make_batch_instruments(self) -> None:
        self._batch_tiles = self._histogram("sr_batch_tiles", "Tiles in one run of a network", COUNTS, "model")
        self._batch_requests = self._histogram("sr_batch_requests", "Requests that share one run", COUNTS, "model")
        self._batch_fill = self._histogram(
            "sr_batch_fill_ratio", "Tiles in one run over the most that there may be", FILL, "model"
        )
        self._batches = self._counter("sr_batch_executions", "Runs of a network", "model", "device")
        self._inferences = self._counter("sr_inferences", "Tiles that networks ran on", "model")
        self._batch_pixels = self._counter("sr_batch_pixels", "Pixels that networks ran on, halos included", "model")

    def _make_state_instruments(self) -> None:
        self._loaded = Gauge(
            "sr_model_loaded",
            "1 for each graph that is served",
            ["model", "scale", "version", "precision", "device"],
            registry=self.registry,
        )
        self._load = Gauge("sr_model_load_seconds", "What opening the store took", registry=self.registry)
        self._warm_up = Gauge("sr_warmup_seconds", "What warming up all models took", registry=self.registry)
        self._build = Gauge("sr_build_info", "1", ["version", "onnxruntime", "python"], registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=tuple(buckets), registry=self.registry)

    # --- what the service is

    def describe_build(self, *, version: str, onnxruntime: str) -> None:
        """What runs here."""
        self._build.labels(version, onnxruntime, platform.python_version()).set(1)

    def describe_model(self, model: str, *, scale: int, version: str, precision: str, device: str) -> None:
        """One graph that is served; from now on its model may be a label."""
        self._models |= {model}
        self._loaded.labels(model, str(scale), version, precision, device).set(1)

    def loaded(self, seconds: float) -> None:
        """The store is open."""
        self._load.set(seconds)

    def warmed_up(self, seconds: float) -> None:
        """All models are warm."""
        self._warm_up.set(seconds)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that asks `value` whenever it is read."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def watch_each(self, name: str, text: str, label: str, values: dict[str, Callable[[], float]]) -> None:
        """A gauge with a value for each value of `label`, asked whenever it is read."""
        gauge = Gauge(name, text, [label], registry=self.registry)
        for one, value in values.items():
            gauge.labels(one).set_function(value)

    def watch_counter(self, name: str, text: str, value: Callable[[], float], **labels: str) -> None:
        """A counter that somebody else keeps; `value` is asked whenever it is read."""
        self.registry.register(_Watched(name, text, value, labels))

    # --- requests

    def request_began(self) -> None:
        """A request's head has been read."""
        self._in_progress.inc()

    def request_ended(self, record: RequestRecord, outcome: RequestOutcome) -> None:
        """Its answer has been sent, or nobody is there any more to take it."""
        self._in_progress.dec()
        facts = record.facts
        model = self._known(facts.get("model"))
        scale = str(facts.get("scale", "")) if model else ""
        endpoint = outcome.endpoint or NO_ENDPOINT
        self._requests.labels(endpoint, model, scale, str(outcome.status), outcome.code or "").inc()
        self._durations.labels(endpoint, model).observe(outcome.seconds)
        for stage in STAGES:
            if stage in record.times.seconds:
                self._stages.labels(stage, model).observe(record.times.seconds[stage])
        if outcome.code in REJECTIONS:
            self._rejections.labels(REJECTIONS[outcome.code]).inc()
        if outcome.code == "client-closed":
            self._cancellations.labels("disconnect").inc()
        if outcome.code == "deadline-exceeded":
            self._cancellations.labels("deadline").inc()
        if outcome.status == HTTPStatus.OK and model:
            self._count_picture(model, facts)

    def refused_by_protocol(self, status: int, code: str, *, reason: str | None = None) -> None:
        """What came was no HTTP, so that no request came of it; `reason` where it was too much of it."""
        self._requests.labels(NO_ENDPOINT, "", "", str(status), code).inc()
        if reason is not None:
            self._rejections.labels(reason).inc()

    def closed_unasked(self) -> None:
        """A request began, and its head did not come in time; nobody was answered."""
        self._rejections.labels("slow").inc()

    def _count_picture(self, model: str, facts: dict[str, object]) -> None:
        for fact, counter in (
            ("input_pixels", self._input_pixels),
            ("output_pixels", self._output_pixels),
            ("padding_pixels", self._padding_pixels),
        ):
            pixels = facts.get(fact)
            if isinstance(pixels, int):
                counter.labels(model).inc(pixels)
        if "kept" in facts:
            self._kept.labels("hit" if facts["kept"] else "miss").inc()
        predicted_s, taken_s = facts.get("predicted_s"), facts.get("taken_s")
        if isinstance(predicted_s, float) and isinstance(taken_s, float) and taken_s > 0:
            self._estimates.labels(model).observe(predicted_s / taken_s)

    def _known(self, model: object) -> str:
        return model if isinstance(model, str) and model in self._models else ""

    # --- batches

    def batch_began(self, *, model: str, device: str, tiles: int, requests: int, pixels: int, most_tiles: int) -> None:
        """A network is about to run on `tiles` tiles, of `most_tiles` that it might, of `requests` requests."""
        self._batch_fill.labels(model).observe(tiles / most_tiles)
        self._batch_tiles.labels(model).observe(tiles)
        self._batch_requests.labels(model).observe(requests)
        self._batches.labels(model, device).inc()
        self._inferences.labels(model).inc(tiles)
        self._batch_pixels.labels(model).inc(pixels)
