"""Orders for children, for tests that talk to them without a job."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

from service.video.formats import sniff_video
from service.video.plan import make_plan
from service.video.process import ChildLimits, ask
from service.video.records import Plan, VideoFacts, Wishes, facts_of

LIMITS = ChildLimits(memory_bytes=2 << 30, file_bytes=1 << 30)


def probe_orders(path: Path, *, container: str | None = None, max_pixels: int = 10**7) -> dict[str, Any]:
    found = container or sniff_video(path.read_bytes()[:64])
    return {"path": str(path), "container": found, "max_pixels": max_pixels, "count": False}


def facts_in(path: Path) -> VideoFacts:
    return facts_of(asyncio.run(ask("probe", probe_orders(path), LIMITS))["facts"])


def plan_of(path: Path, *, scale: int = 2, codec: str = "h264", **changes: Any) -> Plan:  # noqa: ANN401 - any field
    """The plan for the video in the file, its versions left out."""
    facts = facts_in(path)
    wishes = Wishes(codec, None, None)  # type: ignore[arg-type]  # one of the codecs
    size = (facts.height * scale, facts.width * scale)
    plan = make_plan(facts, wishes, size, frame_macs=1, threads=2, versions={})
    return dataclasses.replace(plan, **changes)
