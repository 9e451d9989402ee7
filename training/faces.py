"""`python -m training.faces SOURCE... -o FOLDER`: faces found in pictures or clips, cut out for the degradation GAN.

    python -m training.faces ../shared/data/faces -o data/faces64 --size 64
    python -m training.faces ../shared/data/video/clips/asl_gestures -o data/faces16 --size 16 --crf 32

The paper cuts faces by a detector's boxes, without landmarks (Bulat et al. 2018, section 4.1). The detector is
scikit-image's cascade of local binary patterns for frontal faces. Of a clip the faces are found in the frames as they
are; then the frames are shrunk until the faces have `--size` pixels and coded anew at `--crf`, and the faces are cut
from that: a face of 16 pixels as video shows it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from training.data import SUFFIXES, read_rgb
from training.stills import DEFAULT_CRF, Pixels, coded, read_frames, shrunk

MARGIN = 1.15  # the cascade's boxes end at the chin and at the eyebrows' ends; the paper's crops show the whole face
LEAST_FACE = 48  # pixels a side, before anything is shrunk: smaller finds are mostly none
MOST_FACES = 4  # of one picture


class Box(NamedTuple):
    """A square, in pixels."""

    top: int
    left: int
    side: int

    def within(self, height: int, width: int) -> bool:
        """Whether it lies in a picture of that size."""
        return self.top >= 0 and self.left >= 0 and self.top + self.side <= height and self.left + self.side <= width


class FaceDetector:
    """scikit-image's cascade."""

    def __init__(self) -> None:
        self._cascade = Cascade(lbp_frontal_face_cascade_filename())

    def find(self, picture: Pixels) -> list[Box]:
        """Faces in uint8 RGB [H, W, 3], the largest first, `MARGIN` around each, those cut by the border left out."""
        height, width = picture.shape[:2]
        most = min(height, width)
        if most < LEAST_FACE:
            return []
        found = self._cascade.detect_multi_scale(
            img=picture, scale_factor=1.2, step_ratio=1, min_size=(LEAST_FACE, LEAST_FACE), max_size=(most, most)
        )
        boxes = [_widened(hit["r"], hit["c"], max(hit["height"], hit["width"])) for hit in found]
        inside = [box for box in boxes if box.within(height, width)]
        return sorted(inside, key=lambda box: -box.side)[:MOST_FACES]


def _widened(top: int, left: int, side: int) -> Box:
    wide = round(side * MARGIN)
    return Box(int(top - (wide - side) // 2), int(left - (wide - side) // 2), wide)


def cut(picture: Pixels, box: Box, size: int) -> Pixels:
    """The box as uint8 RGB [size, size, 3], antialiased."""
    part = picture[box.top : box.top + box.side, box.left : box.left + box.side]
    return np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BICUBIC))


def faces_of_picture(path: Path, detector: FaceDetector, size: int) -> list[Pixels]:
    """Faces of at least `size` pixels, none enlarged."""
    picture = read_rgb(path)
    return [cut(picture, box, size) for box in detector.find(picture) if box.side >= size]


def faces_of_clip(path: Path, detector: FaceDetector, size: int, *, count: int, crf: int) -> Iterator[Pixels]:
    """The largest face of each of `count` frames, shrunk and coded as the module says."""
    frames = read_frames(path, count=count)
    found = [(number, boxes[0]) for number, frame in enumerate(frames) if (boxes := detector.find(frame))]
    if not found:
        return
    factor = max(1, round(float(np.median([box.side for _, box in found])) / size))
    small = coded(shrunk(frames, factor), crf=crf)
    for number, box in found:
        shrunken = Box(round(box.top / factor), round(box.left / factor), max(1, round(box.side / factor)))
        if shrunken.within(*small[number].shape[:2]):
            yield cut(small[number], shrunken, size)


def _sources(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes NAME-000.png and so on; 1 where there was no face at all."""
    parser = argparse.ArgumentParser(prog="python -m training.faces", description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="pictures, clips, or folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=64, help="pixels a side (default 64)")
    parser.add_argument("--per-clip", type=int, default=20, metavar="N", help="frames of each clip (default 20)")
    parser.add_argument("--crf", type=int, default=DEFAULT_CRF, help=f"coding of clips (default {DEFAULT_CRF})")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    detector = FaceDetector()
    total = 0
    for source in _sources(args.sources):
        if source.suffix.lower() in SUFFIXES:
            faces: Sequence[Pixels] = faces_of_picture(source, detector, args.size)
        else:
            faces = list(faces_of_clip(source, detector, args.size, count=args.per_clip, crf=args.crf))
        for number, face in enumerate(faces):
            Image.fromarray(face).save(args.output / f"{source.stem}-{number:03}.png")
        total += len(faces)
    print(f"{total} faces in {args.output}")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
