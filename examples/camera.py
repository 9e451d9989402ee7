"""Frames from a camera, larger while it runs: Motion JPEG comes in, and a folder of pictures, or Motion JPEG, goes out.

    rpicam-vid -t 0 --codec mjpeg -o - | python examples/camera.py --model edsr --scale 2 -o frames/
    ffmpeg -i rtsp://camera/1 -c:v mjpeg -f image2pipe - | python examples/camera.py --model vespcn --scale 2 | ffplay -

Ends with the camera's stream, or by Ctrl-C. Needs srserve-client.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from srserve_client import Client, FailedFrame

BEGIN, END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG file


def frames(stream: IO[bytes]) -> Iterator[bytes]:
    """The JPEG files in a stream, each as soon as it is complete."""
    buffer = b""
    while chunk := stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536):
        buffer += chunk
        while (end := buffer.find(END)) >= 0:
            frame, buffer = buffer[: end + len(END)], buffer[end + len(END) :]
            yield frame[frame.find(BEGIN) :]


def main() -> int:
    """Until the stream ends; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--scale", type=int, required=True)
    parser.add_argument("-o", "--output", type=Path, help="a folder; without it, Motion JPEG on standard output")
    arguments = parser.parse_args()
    with (
        Client() as service,
        service.upscale_frames(
            frames(sys.stdin.buffer), look_ahead=8, model=arguments.model, scale=arguments.scale, format="jpeg"
        ) as answer,
    ):
        for frame in answer:
            if isinstance(frame, FailedFrame):  # a torn frame; the ones around it are there
                print(f"frame {frame.index}: {frame.error}", file=sys.stderr)
            elif arguments.output:
                frame.save(arguments.output / f"{frame.index:06d}.jpg")
            else:
                sys.stdout.buffer.write(frame.content)
                sys.stdout.buffer.flush()
    assert answer.summary is not None
    print(f"{answer.summary.succeeded} frames, {answer.summary.failed} failed", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
