"""What is counted of requests and batches, and under which labels."""

from typing import Any

from service import errors
from service.metrics import REJECTIONS, Metrics
from service.routes.documentation import problem_kinds
from service.telemetry import RequestOutcome, RequestRecord


def metrics_of(*models: str) -> Metrics:
    metrics = Metrics()
    for model in models:
        metrics.describe_model(model, scale=2, version="v", precision="fp32", device="cpu")
    return metrics


def end(metrics: Metrics, *, status: int = 200, code: str | None = None, seconds: float = 0.2, **facts: object) -> None:
    record = RequestRecord("id")
    record.facts |= facts
    record.times.add("infer", 0.5)
    metrics.request_began()
    metrics.request_ended(record, RequestOutcome("/upscale", status, code, seconds))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_is_counted_by_endpoint_model_scale_status_and_code() -> None:
    metrics = metrics_of("edsr")
    end(metrics, model="edsr", scale=2)
    end(metrics, status=422, code="unsupported-scale", model="edsr", scale=9)
    labels = {"endpoint": "/upscale", "model": "edsr"}
    assert value(metrics, "sr_requests_total", **labels, scale="2", status="200", code="") == 1
    assert value(metrics, "sr_requests_total", **labels, scale="9", status="422", code="unsupported-scale") == 1
    assert value(metrics, "sr_request_duration_seconds_count", **labels) == 2
    assert value(metrics, "sr_stage_duration_seconds_sum", stage="infer", model="edsr") == 1.0
    assert value(metrics, "sr_requests_in_progress") == 0


def test_a_model_that_is_not_served_makes_no_label() -> None:
    metrics = metrics_of("edsr")
    end(metrics, status=404, code="unknown-model", model="' or 1=1", scale=77)
    labels = {"endpoint": "/upscale", "model": "", "scale": "", "status": "404", "code": "unknown-model"}
    assert value(metrics, "sr_requests_total", **labels) == 1


def test_every_rejection_is_counted_by_its_reason_and_starts_at_zero() -> None:
    metrics = metrics_of()
    for code, reason in REJECTIONS.items():
        before = value(metrics, "sr_rejections_total", reason=reason)
        assert before is not None
        end(metrics, status=429, code=code)
        assert value(metrics, "sr_rejections_total", reason=reason) == before + 1


WANT_OF_ROOM_TIME_OR_RIGHT = {401, 403, 408, 413, 429, 503, 504, 507}
NEVER_RAISED = {errors.Unavailable.code, errors.Forbidden.code}  # what others are kinds of


def test_a_refusal_for_want_of_room_time_or_right_has_a_reason() -> None:
    due = {code for code, kind in problem_kinds().items() if kind.status in WANT_OF_ROOM_TIME_OR_RIGHT}
    due |= {errors.TooManyPixels.code, errors.OutputTooLarge.code, errors.TooManyParts.code}
    assert due - NEVER_RAISED - REJECTIONS.keys() == set()


def test_pixels_and_the_prediction_are_counted_for_answers_only() -> None:
    metrics = metrics_of("edsr")
    facts: dict[str, Any] = {"model": "edsr", "input_pixels": 10, "output_pixels": 40, "padding_pixels": 3}
    facts |= {"predicted_s": 1.0, "taken_s": 0.5}
    end(metrics, **facts)
    end(metrics, status=500, code="inference-failed", **facts)
    assert value(metrics, "sr_input_pixels_total", model="edsr") == 10
    assert value(metrics, "sr_output_pixels_total", model="edsr") == 40
    assert value(metrics, "sr_padding_pixels_total", model="edsr") == 3
    assert value(metrics, "sr_estimate_error_ratio_sum", model="edsr") == 2.0  # 1 s predicted, 0.5 s taken


def test_a_client_that_left_and_a_deadline_that_passed_are_cancellations() -> None:
    metrics = metrics_of()
    end(metrics, status=499, code="client-closed")
    end(metrics, status=504, code="deadline-exceeded")
    assert value(metrics, "sr_cancellations_total", cause="disconnect") == 1
    assert value(metrics, "sr_cancellations_total", cause="deadline") == 1


def test_a_batch_is_counted_by_tiles_requests_and_pixels() -> None:
    metrics = metrics_of("edsr")
    metrics.batch_began(model="edsr", device="cpu", tiles=8, requests=3, pixels=8000, most_tiles=16)
    metrics.batch_began(model="edsr", device="cpu", tiles=1, requests=1, pixels=500, most_tiles=1)
    assert value(metrics, "sr_batch_executions_total", model="edsr", device="cpu") == 2
    assert value(metrics, "sr_inferences_total", model="edsr") == 9
    assert value(metrics, "sr_batch_pixels_total", model="edsr") == 8500
    assert value(metrics, "sr_batch_tiles_bucket", model="edsr", le="4.0") == 1
    assert value(metrics, "sr_batch_requests_sum", model="edsr") == 4
    assert value(metrics, "sr_batch_fill_ratio_sum", model="edsr") == 1.5
    assert value(metrics, "sr_batch_fill_ratio_bucket", model="edsr", le="0.5") == 1


def test_a_watched_value_is_read_anew_each_time() -> None:
    metrics, places = metrics_of(), [1]
    metrics.watch("sr_places", "Places", lambda: len(places))
    assert value(metrics, "sr_places") == 1
    places.append(2)
    assert value(metrics, "sr_places") == 2
