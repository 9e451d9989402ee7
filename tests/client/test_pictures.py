"""Whatever a caller has in hand becomes the bytes of a file, without loss."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from srserve_client.pictures import picture_bytes
from tests.service.pictures import as_file, as_pixels, pixels

RGB = pixels(6, 5)
FILE = as_file(RGB)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_of_a_file_are_sent_as_they_are(wrap: Callable[[bytes], Any]) -> None:
    assert picture_bytes(wrap(FILE)) == FILE


def test_a_path_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(FILE)
    assert picture_bytes(path) == picture_bytes(str(path)) == FILE
    with path.open("rb") as file:
        assert picture_bytes(file) == FILE


def test_a_file_that_is_not_there_is_an_oserror_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        picture_bytes(tmp_path / "none.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_an_image_of_pillow_keeps_its_pixels(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    again = Image.open(io.BytesIO(picture_bytes(image)))
    assert again.mode == mode
    assert np.array_equal(np.asarray(again.convert("RGBA")), np.asarray(image.convert("RGBA")))


def test_an_image_of_16_bits_keeps_them() -> None:
    grey = np.arange(30, dtype=np.uint16).reshape(6, 5) * 2001
    assert np.array_equal(imagecodecs.imread(picture_bytes(Image.fromarray(grey))), grey)


def test_an_image_keeps_its_profile_and_orientation() -> None:
    image = Image.fromarray(RGB)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info["icc_profile"] = profile
    image.getexif()[0x0112] = 6
    again = Image.open(io.BytesIO(picture_bytes(image)))
    assert again.info["icc_profile"] == profile
    assert again.getexif()[0x0112] == 6


@pytest.mark.parametrize("mode", ["F", "LAB", "HSV"])
def test_an_image_that_no_file_holds_without_loss_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=mode):
        picture_bytes(Image.new(mode, (4, 4)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 3), (6, 5, 4), (1, 1, 3)])
def test_an_array_keeps_every_bit(shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401 - what numpy takes
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    again = imagecodecs.png_decode(picture_bytes(array))
    assert np.array_equal(again.reshape(shape), array)


def test_an_array_may_lie_in_memory_in_any_way() -> None:
    assert np.array_equal(as_pixels(picture_bytes(RGB[::-1, ::2])), RGB[::-1, ::2])
    assert np.array_equal(as_pixels(picture_bytes(np.asfortranarray(RGB))), RGB)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4), np.int16), "int16"),
        (np.zeros((4, 4, 5), np.uint8), r"\[4, 4, 5\]"),
        (np.zeros(4, np.uint8), r"\[4\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\[2, 4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_with_its_shape_or_type(array: np.ndarray[Any, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        picture_bytes(array)


@pytest.mark.parametrize("value", [None, 7, {"a": 1}, io.StringIO("text")])
def test_what_is_no_picture_is_a_mistake_of_type(value: Any) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(TypeError, match=r"bytes"):
        picture_bytes(value)
