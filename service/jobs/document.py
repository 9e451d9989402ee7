"""The job as its caller sees it: one JSON document, the same in every answer and every event."""

from datetime import UTC, datetime

from service.jobs.record import Facts, Job


def job_document(job: Job, *, keep_s: float) -> Facts:
    """`keep_s` is how long results are kept."""
    steps = job.steps
    done = steps.done if steps.total is None else min(steps.done, steps.total)
    expires_at = job.finished_at + keep_s if job.state == "succeeded" and job.finished_at is not None else None
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "expires_at": _time(expires_at),
        "parameters": job.parameters,
        "source": {"bytes": job.source.bytes, "media_type": job.source.media_type, **job.source.facts},
        "progress": {
            "unit": steps.unit,
            "done": done,
            "total": steps.total,
            "fraction": done / steps.total if steps.total else None,
            "eta_s": None if steps.eta_s is None else round(steps.eta_s, 1),
        },
        "waiting_for": job.waiting_for,
        "problem": job.problem,
        "result": None
        if job.result is None
        else {
            "bytes": job.result.bytes,
            "media_type": job.result.media_type,
            "sha256": job.result.sha256,
            **job.result.facts,
        },
        "links": {
            "self": f"/jobs/{job.id}",
            "events": f"/jobs/{job.id}/events",
            "result": f"/jobs/{job.id}/result",
        },
    }


def _time(seconds: float | None) -> str | None:
    """RFC 3339, UTC, in milliseconds."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
