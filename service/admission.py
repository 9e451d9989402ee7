"""Admission: who may come in. A place for every request before its body is read, bytes for it before it is decoded.

Nothing waits here: a full service says 429 at once, with the time after which there should be room (Retry-After).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from service.codecs import EncodeOptions, ImageHeader, predicted_encoder_bytes
from service.errors import Draining, NotReady, OutputTooLarge, Overloaded, ServiceError
from service.reduction import reduction_bytes

FIRST_GUESS_MACS_PER_S = 1e11  # two cores of a server; corrected by the first answer
LONGEST_RETRY_S = 300.0  # beyond that the prediction says nothing, and a client should ask again
NEWEST_WEIGHT = 0.3  # of the newest measurement in the running mean of the speed


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
        self.macs = 0

    def reserve(self, *, peak_bytes: int, macs: int) -> None:
        """Take room for `peak_bytes` at most, in place of what is held, and for `macs` multiply-accumulates.

        Raises OutputTooLarge if there could never be that much room, Overloaded if there is not now.
        """
        self._admission.check_room(peak_bytes, held_bytes=self.bytes)
        self.bytes, self.macs = peak_bytes, macs

    def shrink(self, *, held_bytes: int) -> None:
        """The work is done: the request holds only `held_bytes` until its answer has been sent."""
        self.bytes, self.macs = min(held_bytes, self.bytes), 0


class Admission:
    """Counts requests, predicted bytes and predicted work in flight. Belongs to the event loop's thread.

    `max_requests` bounds the requests in flight, from before their bodies are read until their answers are sent;
    `max_bytes` bounds the sum of what they hold, each at its predicted peak.
    """

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._permits: set[Permit] = set()
        self._macs_per_s = FIRST_GUESS_MACS_PER_S

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
        if self.requests >= self._max_requests:
            raise self._overloaded("requests in flight", limit=self._max_requests, actual=self.requests + 1)
        self.check_room(body_bytes, held_bytes=0)
        permit = Permit(self, body_bytes=body_bytes)
        self._permits.add(permit)
        try:
            yield permit
        finally:
            self._permits.remove(permit)

    def check_room(self, wanted_bytes: int, *, held_bytes: int) -> None:
        """Raises OutputTooLarge or Overloaded unless a request that holds `held_bytes` may have `wanted_bytes`."""
        if wanted_bytes > self._max_bytes:
            raise OutputTooLarge(
                f"The request needs about {wanted_bytes} bytes of memory, and the limit is {self._max_bytes}.",
                members={"limit": self._max_bytes, "actual": wanted_bytes},
            )
        total = self.bytes - held_bytes + wanted_bytes
        if total > self._max_bytes:
            raise self._overloaded("bytes needed at once", limit=self._max_bytes, actual=total)

    def predicted_s(self, macs: int) -> float:
        """Seconds that `macs` multiply-accumulates should take, by the speed measured so far."""
        return macs / self._macs_per_s

    def drain_s(self) -> float:
        """Seconds until the work in flight should be done, by the speed measured so far."""
        macs = sum(permit.macs for permit in self._permits)
        return min(self.predicted_s(macs), LONGEST_RETRY_S)

    def learn(self, *, macs: int, seconds: float) -> None:
        """`macs` multiply-accumulates took `seconds` on the device: correct the speed."""
        if macs > 0 and seconds > 0:
            self._macs_per_s += NEWEST_WEIGHT * (macs / seconds - self._macs_per_s)

    def _overloaded(self, what: str, *, limit: int, actual: int) -> Overloaded:
        return Overloaded(
            f"The service is full: {actual} {what}, and the limit is {limit}. Come back later.",
            members={"limit": limit, "actual": actual},
            retry_after_s=self.drain_s(),
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
