"""What a child may do: read the file that it is told of, in bounded memory, and nothing on the network."""

import errno
import os
import resource
import sys
import threading
from typing import Any, BinaryIO

import av
import av.logging
from av.container import InputContainer

from service.video.formats import DECODERS, DEMUXERS

_MAX_FILES = 64


class Refusal(Exception):
    """Why the file cannot be what is asked for; `code` is that of one of the service's problems."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Orders and answers. What else is printed, by libraries too, goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return os.fdopen(os.dup(0), "rb"), answers


def restrict(limits: dict[str, Any]) -> None:
    """Bounds on memory, on the files that are written, on descriptors; no core files."""
    for which, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
    av.logging.set_level(None)  # of hostile files FFmpeg has much to say


def die_with_parent(orders: BinaryIO) -> None:
    """The pipe of orders stays open as long as somebody wants the answer."""

    def watch() -> None:
        while orders.read(1):
            pass
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def open_input(path: str, container: str) -> InputContainer:
    """The file, read as the one format that it was recognised as. Raises Refusal."""
    options = {
        "protocol_whitelist": "file",
        "codec_whitelist": ",".join(DECODERS),
        "enable_drefs": "0",  # an mp4 may name other files
        "probesize": str(32 << 20),
    }
    if DEMUXERS[container] != "mov":
        del options["enable_drefs"]
    try:
        return av.open(path, "r", format=DEMUXERS[container], options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise Refusal("undecodable-video", f"The file cannot be opened as {container}: {first_line(error)}.") from error


def disk_fault(error: OSError) -> dict[str, str] | None:
    """What is to be told of a disk that is full, or of a file that may not become larger."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"code": "storage-full", "detail": "The disk is full."}
    if error.errno == errno.EFBIG:
        return {"code": "output-too-large", "detail": "The result would be larger than all jobs' files may be."}
    return None


def first_line(error: BaseException) -> str:
    """What FFmpeg says, without our paths."""
    text = getattr(error, "strerror", None) or str(error).partition(":")[0] or type(error).__name__
    return str(text).splitlines()[0][:200]


def versions() -> dict[str, str]:
    """Of what reads and writes video: with others the same frames may become other bytes."""
    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return {"python": ".".join(map(str, sys.version_info[:2])), "av": av.__version__, **libraries}
