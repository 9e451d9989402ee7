"""`python -m training.stills CLIP... -o FOLDER`: frames of compressed clips as pictures, LR material as it is found.

    python -m training.stills ../shared/data/video/clips/asl_gestures/*.mkv -o data/stills

With `--shrink N` frames are divided by N and coded anew by H.264 at `--crf` first: what a small camera behind a slow
line sends. PyAV is the extra "video".
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from PIL import Image

from training.frames import evenly_spaced

Pixels = npt.NDArray[np.uint8]
DEFAULT_CRF = 32


def read_frames(path: Path, *, count: int) -> list[Pixels]:
    """Up to `count` evenly spaced frames, uint8 RGB [H, W, 3].

    Raises:
        ValueError: the file holds no frame.
    """
    with av.open(str(path)) as container:
        frames = _decoded(container)
    if not frames:
        raise ValueError(f"{path}: no frame could be decoded")
    return [frames[number] for number in evenly_spaced(min(count, len(frames)), len(frames))]


def shrunk(frames: Sequence[Pixels], factor: int) -> list[Pixels]:
    """Frames divided by `factor`, antialiased, sides even as H.264 wants them."""
    height, width = (side // factor // 2 * 2 for side in frames[0].shape[:2])
    size = (width, height)
    return [np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)) for frame in frames]


def coded(frames: Sequence[Pixels], *, crf: int) -> list[Pixels]:
    """The frames after a way through H.264 at this constant rate factor (0 lossless to 51 worst), as one clip."""
    height, width = frames[0].shape[:2]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return _decoded(container)


def _decoded(container: InputContainer) -> list[Pixels]:
    return [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in container.decode(video=0)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes CLIP-000.png and so on."""
    parser = argparse.ArgumentParser(prog="python -m training.stills", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--per-clip", type=int, default=10, metavar="N", help="frames of each clip (default 10)")
    parser.add_argument("--shrink", type=int, metavar="N", help="divide by N and code anew; default: as they are")
    parser.add_argument("--crf", type=int, default=DEFAULT_CRF, help=f"of the new coding (default {DEFAULT_CRF})")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    for clip in args.clips:
        frames = read_frames(clip, count=args.per_clip)
        if args.shrink:
            frames = coded(shrunk(frames, args.shrink), crf=args.crf)
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(args.output / f"{clip.stem}-{number:03}.png")
        print(f"{clip.name}: {len(frames)} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
