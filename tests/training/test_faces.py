"""Faces are found in photographs and clips, and cut out at the size that a recipe wants."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from training.faces import Box, FaceDetector, cut, main

FACE = (slice(50, 170), slice(170, 280))  # of scikit-image's astronaut


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def test_the_astronauts_face_is_found(detector: FaceDetector) -> None:
    box, *_ = detector.find(astronaut())
    middle = (box.top + box.side / 2, box.left + box.side / 2)
    assert FACE[0].start < middle[0] < FACE[0].stop
    assert FACE[1].start < middle[1] < FACE[1].stop


def test_a_cup_of_coffee_has_no_face(detector: FaceDetector) -> None:
    assert detector.find(coffee()) == []


def test_a_picture_smaller_than_a_face_has_none(detector: FaceDetector) -> None:
    assert detector.find(np.zeros((20, 200, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("box", "within"), [(Box(0, 0, 10), True), (Box(-1, 0, 10), False), (Box(0, 1, 10), False), (Box(1, 0, 10), False)]
)
def test_a_box_that_the_border_cuts_is_not_within(box: Box, within: bool) -> None:
    assert box.within(10, 10) is within


def test_a_cut_has_the_size_asked_for_and_the_boxs_pixels() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[8:24, 4:20] = 200
    assert (cut(picture, Box(8, 4, 16), 8) == 200).all()


def test_the_command_cuts_faces_of_pictures_and_clips(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    photograph = astronaut()[:256, 100:356]
    Image.fromarray(photograph).save(sources / "photograph.png")
    with av.open(str(sources / "clip.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(photograph), format="rgb24")))
        container.mux(stream.encode(None))
    assert main([str(sources), "-o", str(tmp_path / "faces"), "--size", "16", "--per-clip", "2"]) == 0
    written = sorted(path.name for path in (tmp_path / "faces").iterdir())
    assert {"clip-000.png", "clip-001.png", "photograph-000.png"} <= set(written)
    for name in written:
        with Image.open(tmp_path / "faces" / name) as image:
            assert image.size == (16, 16)


def test_no_face_at_all_is_a_failure(tmp_path: Path) -> None:
    Image.fromarray(coffee()).save(tmp_path / "coffee.png")
    assert main([str(tmp_path / "coffee.png"), "-o", str(tmp_path / "faces")]) == 1
