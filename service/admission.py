"""Admission: who may come in. A place for every request before its body is read, bytes for it before it is decoded.

Nothing waits here: a full service says 429 at once, with the time after which there should be room (Retry-After).
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from service.codecs import EncodeOptions, ImageHeader, predicted_encoder_bytes
from service.errors import Draining, NotReady, OutputTooLarge, Overloaded, ServiceError
from service.reduction import reduction_bytes

LONGEST_RETRY_S = 300.0  # beyond that the prediction says nothing, and a client should ask again


class Readiness:
    """Whether new requests should be sent here: first starting, then ready, at last draining. /readyz asks."""

    def __init__(self) -> None:
        self.draining = False
        self._not_yet: str | None = "The models are being warmed up."

    def ready(self) -> None:
        """From now on requests are welcome, unless the service is draining."""
        self._not_yet = None

    def failed(self, reason: str) -> None:
        """It will not become ready, for `reason`."""
        self._not_yet = reason

    def drain(self) -> None:
        """From now on requests should go elsewhere; those that come nevertheless are served."""
        self.draining = True

    def obstacle(self) -> ServiceError | None:
        """Why this replica should get no requests; None when it is ready."""
        if self.draining:
            return Draining("This replica is shutting down; another one serves.", retry_after_s=1)
        if self._not_yet is not None:
            return NotReady(self._not_yet, retry_after_s=1)
        return None


class Permit:
    """One request's place, and what it holds there. Whoever has it has passed the door."""

    def __init__(self, admission: "Admission", *, body_bytes: int) -> None:
        self._admission = admission
        self.bytes = body_bytes
        self.ends_at: float | None = None  # not known, as while the body is read

    def reserve(self, *, peak_bytes: int, seconds: float | None) -> None:
        """Take room for `peak_bytes` at most, in place of what is held, for so many seconds as predicted, if known.

        Raises OutputTooLarge if there could never be that much room, Overloaded if there is not now.
        """
        self._admission.check_room(peak_bytes, permit=self)
        self.bytes = peak_bytes
        self.ends_at = None if seconds is None else self._admission.clock() + seconds

    def shrink(self, *, held_bytes: int) -> None:
        """The work is done: the request holds only `held_bytes` until its answer has been sent."""
        self.bytes, self.ends_at = min(held_bytes, self.bytes), self._admission.clock()


class Admission:
    """Counts requests and predicted bytes in flight, and knows when they should end. Of the event loop's thread.

    `max_requests` bounds the requests in flight, from before their bodies are read until their answers are sent;
    `max_bytes` bounds the sum of what they hold, each at its predicted peak.
    """

    def __init__(self, *, max_requests: int, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._permits: set[Permit] = set()

    @property
    def requests(self) -> int:
        """Requests in flight."""
        return len(self._permits)

    @property
    def bytes(self) -> int:
        """Bytes promised to the requests in flight."""
        return sum(permit.bytes for permit in self._permits)

    @contextmanager
    def enter(self, *, body_bytes: int) -> Iterator[Permit]:
        """A place for one request, and room for its body, while the block runs. Raises Overloaded."""
        self.check_place()
        self.check_room(body_bytes, permit=None)
        permit = Permit(self, body_bytes=body_bytes)
        self._permits.add(permit)
        try:
            yield permit
        finally:
            self._permits.remove(permit)

    def check_place(self) -> None:
        """Raises Overloaded if there is no place for one more request."""
        if self.requests >= self._max_requests:
            raise _overloaded(
                "requests in flight",
                limit=self._max_requests,
                actual=self.requests + 1,
                retry_after_s=self._until(lambda left: len(left) < self._max_requests, self._permits),
            )

    def check_room(self, wanted_bytes: int, *, permit: Permit | None) -> None:
        """Raises OutputTooLarge or Overloaded unless the request may have `wanted_bytes` in place of what it holds."""
        if wanted_bytes > self._max_bytes:
            raise OutputTooLarge(
                f"The request needs about {wanted_bytes} bytes of memory, and the limit is {self._max_bytes}.",
                members={"limit": self._max_bytes, "actual": wanted_bytes},
            )
        others = self._permits - {permit}
        total = wanted_bytes + sum(other.bytes for other in others)
        if total > self._max_bytes:
            raise _overloaded(
                "bytes needed at once",
                limit=self._max_bytes,
                actual=total,
                retry_after_s=self._until(
                    lambda left: wanted_bytes + sum(other.bytes for other in left) <= self._max_bytes, others
                ),
            )

    def drain_s(self) -> float:
        """Seconds until all requests in flight should have been answered."""
        now = self.clock()
        return max((max((permit.ends_at or now) - now, 0.0) for permit in self._permits), default=0.0)

    def _until(self, has_room: Callable[[list[Permit]], bool], permits: Collection[Permit]) -> float:
        """Seconds until so many of them should have ended that there is room; last those of which nobody knows."""
        now = self.clock()
        left = sorted(permits, key=lambda permit: math.inf if permit.ends_at is None else permit.ends_at)
        wait_s = 0.0
        while left and not has_room(left):
            permit = left.pop(0)
            wait_s = max(wait_s, (permit.ends_at or now) - now)
        return min(wait_s, LONGEST_RETRY_S)


def _overloaded(what: str, *, limit: int, actual: int, retry_after_s: float) -> Overloaded:
    return Overloaded(
        f"The service is full: {actual} {what}, and the limit is {limit}. Come back later.",
        members={"limit": limit, "actual": actual},
        retry_after_s=retry_after_s,
    )


def predicted_peak_bytes(
    header: ImageHeader, options: EncodeOptions, *, network_pixels: int, answer_pixels: int, body_bytes: int
) -> int:
    """Bytes that one request on `header`'s picture needs at its peak; the network's own memory is not among them.

    The body (twice, for decoders keep a copy), its pixels, the `network_pixels` of the network's answer, and what the
    encoder takes for itself and the file; where the answer is reduced to `answer_pixels`, the larger of what the two
    steps need. Measured on pictures of 5 to 24 megapixels; noise takes up to 1.3 times as much, photographs less.
    """
    bytes_per_pixel = (4 if header.has_alpha else 3) * header.bits // 8
    answer_bytes = answer_pixels * bytes_per_pixel
    encoding = answer_bytes + predicted_encoder_bytes(
        options, pixels=answer_pixels, bits=header.bits, has_alpha=header.has_alpha
    )
    reducing = 0
    if answer_pixels != network_pixels:
        scratch = reduction_bytes(pixels=network_pixels, bits=header.bits)
        reducing = network_pixels * bytes_per_pixel + answer_bytes + scratch
    return 2 * body_bytes + header.pixels * bytes_per_pixel + max(encoding, reducing)
