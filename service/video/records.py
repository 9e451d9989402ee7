"""The records that this process and its children tell each other: what a file holds, what is to be made of it."""

import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Self

from service.video.formats import CodecName, ContainerName


@dataclass(frozen=True)
class Colour:
    """How numbers become colours: FFmpeg's numbers, which are those of ITU-T H.273. 2 is unspecified.

    `range` is 1 for studio levels (16 to 235 of 255), 2 for full ones, 0 for unspecified, which means studio.
    """

    primaries: int
    transfer: int
    matrix: int
    range: int


@dataclass(frozen=True)
class VideoFacts:
    """What a video file holds. Sides are in pixels as the picture is meant to be seen, after `turns`.

    `turns` are quarter turns counterclockwise that make the stored picture upright. `time_base` is the unit of its
    timestamps in seconds, a fraction as text; so are `rate` (frames per second on average) and `aspect` (of a pixel).
    `frames` is what the container says, or a guess from duration and rate; it is exact once they were `counted`.
    """

    container: ContainerName
    codec: str
    width: int
    height: int
    turns: int
    pixel_format: str
    colour: Colour
    time_base: str
    rate: str
    aspect: str
    duration_s: float | None
    frames: int | None
    interlaced: bool
    has_alpha: bool
    counted: bool = False
    others: tuple[str, ...] = ()
    """The other streams, such as "audio: aac"."""


@dataclass(frozen=True)
class Wishes:
    """How the pictures are to be written. `container` None: the source's, if it can hold the codec, else mkv."""

    codec: CodecName
    crf: int | None
    container: ContainerName | None


@dataclass(frozen=True)
class Plan:
    """All that decides the result's bytes, so that a job that goes on writes what it would have written.

    `threads` are the encoder's; another number of them makes other bytes. `versions` are of everything that is run:
    with others a job begins anew.
    """

    facts: VideoFacts
    container: ContainerName
    codec: CodecName
    crf: int | None
    width: int
    height: int
    pixel_format: str
    colour: Colour
    threads: int
    segment_frames: int
    bits: int
    """Of a sample of the frames that go to the network and come from it: 8, or 16 for more."""
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Equal plans, equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError or TypeError for what is no plan of this version."""
        members = json.loads(text)
        facts = facts_of(members.pop("facts"))
        return cls(facts=facts, colour=Colour(**members.pop("colour")), **members)

    @property
    def frame_bytes(self) -> int:
        """Of one frame as it comes from the network."""
        return self.width * self.height * 3 * self.bits // 8


def facts_of(members: dict[str, Any]) -> VideoFacts:
    """The facts that were sent as JSON."""
    others = tuple(members.pop("others"))
    return VideoFacts(colour=Colour(**members.pop("colour")), others=others, **members)


def seconds(ticks: int, time_base: str) -> float:
    """A timestamp in seconds."""
    return float(ticks * Fraction(time_base))
