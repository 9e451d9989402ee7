"""Windows of decoded frames through the network: the steps that POST /upscale/frames and video jobs share."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.frames.plane import WindowPlane
from service.manifest import Manifest
from service.planes import Pixels, Plane, plan_for
from service.scheduler import Scheduler
from service.sessions import Runnable
from service.turns import QueueClass
from service.work import Work, WorkStats


@dataclass(frozen=True)
class NetworkChoice:
    """Which network is run on a clip's frames, how its tiles are cut, and for whom."""

    session: Runnable
    exact: bool
    max_tile: int
    request_id: str
    queue_class: QueueClass


class FrameNetwork:
    """One for the whole service."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def run(self, windows: Sequence[Sequence[Pixels]], choice: NetworkChoice) -> tuple[list[Pixels], WorkStats]:
        """An SR plane for the middle of each window, all of one size; several where a frame has an alpha channel.

        Pixels are [H,W,3] or, of a plane such as alpha, [H,W]; uint8 or uint16, as the session wants them.
        """
        manifest = choice.session.manifest
        planes = [_plane(window, manifest) for window in windows]
        height, width = planes[0].source.shape[:2]
        work = Work(
            session=choice.session,
            plan=plan_for(manifest, height, width, exact=choice.exact, max_tile=choice.max_tile),
            planes=planes,
            request_id=choice.request_id,
            queue_class=choice.queue_class,
        )
        stats = await self._scheduler.run(work)
        return [plane.output for plane in planes], stats


def window_radius(manifest: Manifest) -> int:
    """How many neighbours on each side the network sees of a frame."""
    return manifest.frame_window // 2 if manifest.input == "frames" else 0


def _plane(window: Sequence[Pixels], manifest: Manifest) -> Plane:
    if manifest.input == "frames":
        return WindowPlane(window, manifest.scale)
    return Plane(window[len(window) // 2], manifest.scale)
