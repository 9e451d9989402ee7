"""`python -m benchmarks.png PICTURE...`: how PNG answers are written, beside Pillow and zlib, in one run.

Of each picture the middle, enlarged twice to 512x512, as an answer is; the best of three in CPU time of the thread.
"""

import argparse
import io
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from zlib_ng import zlib_ng

from service.codecs import EncodeOptions, encode
from service.codecs.image import DecodedImage, Metadata

SIDE = 512
Deflater = Any  # of either library: compress and flush
Way = Callable[[NDArray[np.uint8]], bytes]


def answer(path: Path) -> NDArray[np.uint8]:
    """The middle of a picture, enlarged twice."""
    image = Image.open(path).convert("RGB")
    left, top = (max(side - SIDE // 2, 0) // 2 for side in image.size)
    box = (left, top, min(left + SIDE // 2, image.width), min(top + SIDE // 2, image.height))
    return np.asarray(image.crop(box).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def ours(compression: Literal["fast", "small"]) -> Way:
    """As the service writes it."""

    def write(pixels: NDArray[np.uint8]) -> bytes:
        image = DecodedImage(colour=pixels, alpha=None, grey=False, metadata=Metadata(), source_format="png")
        return encode(image, EncodeOptions(format="png", compression=compression))

    return write


def by_pillow(level: int) -> Way:
    """As Pillow writes it at a level; its default is 6."""

    def write(pixels: NDArray[np.uint8]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=level)
        return file.getvalue()

    return write


def up(library: Callable[..., Deflater], level: int) -> Way:
    """The filter Up alone, and a deflater."""

    def write(pixels: NDArray[np.uint8]) -> bytes:
        rows = pixels.reshape(len(pixels), -1)
        filtered = np.full((len(rows), 1 + rows.shape[1]), 2, np.uint8)
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        deflater = library(level)
        return b"".join((deflater.compress(filtered.data), deflater.flush()))

    return write


WAYS: dict[str, Way] = {
    "Pillow, default": by_pillow(6),
    "Pillow, level 1": by_pillow(1),
    "Up, zlib level 1": up(zlib.compressobj, 1),
    **{f"Up, zlib-ng level {level}": up(zlib_ng.compressobj, level) for level in (1, 2, 3, 4, 6)},
    "the service": ours("fast"),
    "the service, compression=small": ours("small"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if the service's way is less than 6 times as fast, or larger than 1.25 times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.png", description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    seconds, sizes = dict.fromkeys(WAYS, 0.0), dict.fromkeys(WAYS, 0)
    for path in parser.parse_args(arguments).pictures:
        pixels = answer(path)
        best = dict.fromkeys(WAYS, float("inf"))
        for _ in range(3):
            for name, write in WAYS.items():
                started = time.thread_time()
                file = write(pixels)
                best[name] = min(best[name], time.thread_time() - started)
                sizes[name] += len(file)
        for name in WAYS:
            seconds[name] += best[name]
    base = next(iter(WAYS))
    print("| | times as fast | times the bytes |\n|---|---|---|")
    for name in WAYS:
        print(f"| {name} | {seconds[base] / seconds[name]:.1f} | {sizes[name] / sizes[base]:.3f} |")
    return int(seconds[base] / seconds["the service"] < 6 or sizes["the service"] > 1.25 * sizes[base])


if __name__ == "__main__":
    sys.exit(main())
