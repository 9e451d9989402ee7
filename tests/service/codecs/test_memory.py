"""What decoding and encoding take at their peak, in a process of its own: a few bytes per pixel, and those foretold."""

import pytest

from service.codecs import EncodeOptions, predicted_encoder_bytes
from tests.service.codecs.child import run_alone

HEIGHT, WIDTH = 2_000, 3_000
PIXELS = HEIGHT * WIDTH

PROBE = """
from PIL import Image
name, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
grain = np.random.default_rng(0).normal(0, 4, (height, width)).astype(np.float32)
colour = np.empty((height, width, 3), np.uint8)
for channel in range(3):
    colour[..., channel] = (128 + 100 * np.sin(rows / 90 + channel) * np.cos(columns / 70) + grain).clip(0, 255)
del rows, columns, grain
image = DecodedImage(colour, None, False, Metadata(), "png")
small = DecodedImage(colour[:16, :16].copy(), None, False, Metadata(), "png")
if name == "decode":
    file = io.BytesIO()
    Image.fromarray(colour).save(file, "JPEG", quality=90)
    data = file.getvalue()
    del file, image, colour
    warm = encode(small, EncodeOptions("jpeg"))
    decode(warm, read_header(warm))
    answer(bytes_above(lambda: decode(data, read_header(data))))
else:
    options = EncodeOptions(name, quality=int(sys.argv[4]) if len(sys.argv) > 4 else None)
    encode(small, options)
    answer(bytes_above(lambda: encode(image, options)))
"""


def test_a_photograph_is_decoded_in_eight_bytes_per_pixel() -> None:
    # Pillow's four and the array's three; np.asarray of the whole would make it ten.
    assert run_alone(PROBE, "decode", HEIGHT, WIDTH) < 8 * PIXELS


@pytest.mark.parametrize(
    ("name", "quality"),
    [("png", None), ("jpeg", None), ("tiff", None), ("webp", None), ("webp", 100), ("avif", None)],
)
def test_an_encoder_takes_no_more_than_is_predicted(name: str, quality: int | None) -> None:
    options = EncodeOptions(name, quality=quality)
    predicted = predicted_encoder_bytes(options, pixels=PIXELS, bits=8, has_alpha=False)
    spare = 4 << 20  # buffers that do not grow with the picture
    assert run_alone(PROBE, name, HEIGHT, WIDTH, *([quality] if quality else [])) < predicted + spare
