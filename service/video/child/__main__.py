"""`python -m service.video.child COMMAND`: one command, its orders as JSON on stdin, its answers on stdout.

probe   what a file holds, and whether what is wished could be made of it
decode  its pictures, one after the other
encode  pictures from stdin to segment files
mux     segments and what came beside the pictures to the result

Started by service/video/process.py and by nobody else.
"""

import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from service.video import wire
from service.video.child import sandbox

Command = Callable[[dict[str, Any], BinaryIO, BinaryIO], None]


def main(name: str) -> int:
    """Run the command; what it cannot do is told as a message, and anything else ends with a traceback and 1."""
    orders_pipe, answers = sandbox.take_pipes()
    kind, size = wire.receive_head(orders_pipe)
    assert kind == wire.HELLO
    orders = wire.receive_document(orders_pipe, size)
    sandbox.restrict(orders.pop("limits"))
    command = _command(name)
    if name != "encode":  # which reads its pipe to the end anyway
        sandbox.die_with_parent(orders_pipe)
    try:
        command(orders, orders_pipe, answers)
    except sandbox.Refusal as refusal:
        wire.send_document(answers, wire.FAULT, {"code": refusal.code, "detail": refusal.detail})
    except OSError as error:
        fault = sandbox.disk_fault(error)
        if fault is None:
            raise
        wire.send_document(answers, wire.FAULT, fault)
    except MemoryError:
        wire.send_document(answers, wire.FAULT, {"code": "undecodable-video", "detail": "It needs too much memory."})
    return 0


def _command(name: str) -> Command:
    """Imported after the limits are set: they are for FFmpeg's libraries."""
    match name:
        case "probe":
            from service.video.child.probing import probe

            return probe
        case "decode":
            from service.video.child.decoding import decode

            return decode
        case "encode":
            from service.video.child.encoding import encode

            return encode
        case _:
            from service.video.child.muxing import mux

            return mux


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except wire.WireClosed:
        sys.exit(2)  # nobody is there who could be told
