"""The down-sampler is MATLAB's, bit for bit."""

import numpy as np
import pytest
from PIL import Image

from tests.data_folder import require
from training.resize import crop_to_multiple, downscale, resize


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["baby", "bird", "butterfly", "head", "woman"])
def test_it_makes_the_published_lr_files_bit_for_bit(name: str, scale: int) -> None:
    hr = np.asarray(Image.open(require("benchmarks", "Set5", "HR", f"{name}.png")).convert("RGB"))
    published = Image.open(require("benchmarks", "Set5", "LR_bicubic", f"X{scale}", f"{name}x{scale}.png"))
    assert np.array_equal(downscale(crop_to_multiple(hr, scale), scale), np.asarray(published.convert("RGB")))


def test_a_known_row_by_hand() -> None:
    # x2 puts taps at half distances 0.25, 0.75, 1.25, 1.75 on each side; half of Keys' kernel there is
    near, second, third, far = 0.43359375, 0.11328125, -0.03515625, -0.01171875
    assert 2 * (near + second + third + far) == 1
    row = np.repeat(np.array([[0] * 8 + [200] * 8], dtype=np.uint8), 2, axis=0)
    spill = 200 * (second + third + far)  # the pixel left of the edge sees three taps beyond it: 13.28
    undershoot = 200 * far  # the next one sees one, negative: clipped on the dark side, 202.3 on the bright one
    expected = [0, 0, 0, round(spill), round(200 - spill), round(200 - undershoot), 200, 200]
    assert downscale(row, 2)[0].tolist() == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_flat_picture_stays_flat(scale: int) -> None:
    flat = np.full((6 * scale, 4 * scale, 3), 137, dtype=np.uint8)
    assert np.array_equal(downscale(flat, scale), np.full((6, 4, 3), 137))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(5, 33, 3), (40, 3)], ids=["colour", "grey"])
def test_the_fast_way_equals_the_general_one_bit_for_bit(scale: int, shape: tuple[int, ...]) -> None:
    size = (shape[0] * scale, shape[1] * scale, *shape[2:])
    image = np.random.default_rng(scale).integers(0, 256, size, dtype=np.uint8)
    assert np.array_equal(downscale(image, scale), resize(image, *shape[:2]))


def test_enlarging_interpolates() -> None:
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (4, 1))
    large = resize(ramp, 8, 32)
    assert large.shape == (8, 32)
    # Inside, Keys' kernel reproduces a straight line: samples at quarter steps of 10.
    expected = np.floor((np.arange(8, 24) + 0.5) / 2 * 10 - 5 + 0.5)
    assert np.array_equal(large[4, 8:24], expected)


def test_sizes_that_do_not_divide_are_refused_and_can_be_cropped() -> None:
    image = np.zeros((7, 9, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="7x9 is not a multiple of scale 4"):
        downscale(image, 4)
    assert crop_to_multiple(image, 4).shape == (4, 8, 3)
