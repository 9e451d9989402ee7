"""Where errors of Pillow, imagecodecs and zlib become ours: each call that hands them a caller's bytes stands here."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageCms

from service.errors import InternalError, UndecodableImage

# What Pillow raises for damaged files; imagecodecs' own classes are RuntimeErrors. MemoryError is how libtiff and
# libavif answer a file whose inner sizes are absurd: its pixels were counted before.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)

MAX_INFLATED_BYTES = 4 << 20
"""Largest compressed metadata block (an ICC profile or XMP in a PNG) that is unpacked."""


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn any error of a decoder into UndecodableImage, saying which part of the file (`what`) could not be read."""
    try:
        yield
    except DECODER_ERRORS as error:
        reason = str(error)[:200] or type(error).__name__
        raise UndecodableImage(f"The {what} is damaged or incomplete: {reason}.") from error


@contextmanager
def encoding(name: str) -> Iterator[None]:
    """Turn any error of an encoder into InternalError: `check_encodable` refused what cannot be written."""
    try:
        yield
    except DECODER_ERRORS as error:
        raise InternalError(f"The picture could not be written as {name}.") from error


def damaged(what: str, reason: str) -> UndecodableImage:
    """The error for damage that was found here, worded like damage that a decoder found."""
    return UndecodableImage(f"The {what} is damaged or incomplete: {reason}.")


def inflate(packed: bytes, *, what: str) -> bytes | None:
    """Unpack a zlib stream of metadata; None where it is not one. Raises UndecodableImage above MAX_INFLATED_BYTES."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(packed, MAX_INFLATED_BYTES)
    except zlib.error:
        return None
    if inflater.unconsumed_tail:
        raise UndecodableImage(
            f"The {what} unpacks to more than {MAX_INFLATED_BYTES} bytes.",
            members={"limit": MAX_INFLATED_BYTES},
        )
    return plain
