"""What is written is what other readers read: pixels, depth, alpha, profile and metadata."""

import dataclasses
import io
from typing import Literal

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from service.codecs import (
    OUTPUT_FORMATS,
    DecodedImage,
    EncodeOptions,
    Metadata,
    check_encodable,
    decode,
    encode,
    exif,
    read_header,
)
from service.errors import AlphaNotRepresentable, BadParameter, OutputTooLarge
from tests.service.codecs.samples import HEIGHT, WIDTH, Pixels, exif_block, noise, smooth
from tests.service.codecs.test_colour import grey_profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = exif.upright(exif_block(1).removeprefix(b"Exif\0\0")) or b""
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
LOSSLESS = ("png", "tiff")


def picture(
    *, bits: int = 8, grey: bool = False, alpha: bool = False, metadata: Metadata | None = None
) -> DecodedImage:
    colour = noise(3, bits=bits)
    if grey:
        colour[...] = colour[..., :1]
    return DecodedImage(colour, noise(bits=bits, seed=8) if alpha else None, grey, metadata or Metadata(), "png")


def gentle(*, alpha: bool = False) -> DecodedImage:
    """A picture that lossy formats keep nearly as it is."""
    return DecodedImage(
        smooth(), smooth(4)[..., 3].copy() if alpha else None, grey=False, metadata=Metadata(), source_format="png"
    )


def by_another_reader(data: bytes, name: str) -> Pixels:
    """[H,W] or [H,W,channels] as libpng or libtiff read it."""
    read = imagecodecs.png_decode(data) if name == "png" else imagecodecs.tiff_decode(data)
    return np.asarray(read)


def by_pillow(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_formats_hold_every_bit(name: str, bits: int, grey: bool, alpha: bool) -> None:
    image = picture(bits=bits, grey=grey, alpha=alpha)
    planes = [
        image.colour[..., :1] if grey else image.colour,
        *([image.alpha[..., None]] if image.alpha is not None else []),
    ]
    expected = np.concatenate(planes, axis=2)
    read = by_another_reader(encode(image, EncodeOptions(name)), name)
    assert read.dtype == image.colour.dtype
    np.testing.assert_array_equal(read, expected[..., 0] if expected.shape[2] == 1 else expected)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9000), (3000, 1), (700, 611)])
def test_pictures_of_one_and_of_many_strips(name: str, height: int, width: int) -> None:
    colour = np.random.default_rng(0).integers(0, 65_536, (height, width, 3)).astype(np.uint16)
    read = by_another_reader(
        encode(DecodedImage(colour, None, grey=False, metadata=Metadata(), source_format="png"), EncodeOptions(name)),
        name,
    )
    np.testing.assert_array_equal(read.reshape(colour.shape), colour)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("alpha", [False, True])
def test_pillow_reads_what_is_written(name: str, alpha: bool) -> None:
    image = picture(alpha=alpha)
    read = by_pillow(encode(image, EncodeOptions(name)))
    assert read.mode == ("RGBA" if alpha else "RGB")
    np.testing.assert_array_equal(np.asarray(read)[..., :3], image.colour)


@pytest.mark.parametrize("alpha", [False, True])
def test_webp_at_full_quality_is_lossless(alpha: bool) -> None:
    image = picture(alpha=alpha)
    read = np.asarray(by_pillow(encode(image, EncodeOptions("webp", quality=100))))
    visible = np.ones((HEIGHT, WIDTH), bool) if image.alpha is None else image.alpha > 0
    np.testing.assert_array_equal(read[..., :3][visible], image.colour[visible])
    if image.alpha is not None:
        np.testing.assert_array_equal(read[..., 3], image.alpha)


@pytest.mark.parametrize(("name", "tolerance"), [("jpeg", 6), ("webp", 14), ("avif", 8)])
def test_lossy_formats_stay_near_by_default(name: str, tolerance: int) -> None:
    image = gentle()
    read = np.asarray(by_pillow(encode(image, EncodeOptions(name))))
    assert np.abs(read.astype(int) - image.colour).max() <= tolerance


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_alpha_survives_lossy_formats(name: str) -> None:
    image = gentle(alpha=True)
    assert image.alpha is not None
    read = np.asarray(by_pillow(encode(image, EncodeOptions(name))))
    assert np.abs(read[..., 3].astype(int) - image.alpha).max() <= 6


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    # Quality 95 of Pillow's default (4:2:0) would smear these single columns of red and blue into violet.
    colour = np.zeros((16, 16, 3), np.uint8)
    colour[:, ::2, 0] = 255
    colour[:, 1::2, 2] = 255
    image = DecodedImage(colour, None, grey=False, metadata=Metadata(), source_format="png")
    read = np.asarray(by_pillow(encode(image, EncodeOptions("jpeg"))))
    assert np.abs(read.astype(int) - colour).max() < 40


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_quality_is_traded_for_size(name: str) -> None:
    image = picture()
    sizes = [len(encode(image, EncodeOptions(name, quality=quality))) for quality in (10, 60, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("name", ["jpeg", "avif", "png", "tiff"])
def test_grey_is_written_as_grey(name: str) -> None:
    assert by_pillow(encode(picture(grey=True), EncodeOptions(name))).mode == "L"


def test_channels_a_network_left_apart_are_averaged_into_grey() -> None:
    colour = np.array([[[10, 11, 12], [10, 10, 11], [254, 255, 255]]], np.uint8)
    image = DecodedImage(colour, None, grey=True, metadata=Metadata(), source_format="png")
    assert np.asarray(by_pillow(encode(image, EncodeOptions("png")))).tolist() == [[11, 10, 255]]


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_sixteen_bits_are_rounded_where_the_format_has_eight(grey: bool, alpha: bool) -> None:
    deep = picture(bits=16, grey=grey, alpha=alpha)
    rounded = dataclasses.replace(
        deep,
        colour=np.round(deep.colour / 257).astype(np.uint8),
        alpha=None if deep.alpha is None else np.round(deep.alpha / 257).astype(np.uint8),
    )
    options = EncodeOptions("webp", quality=100)
    assert encode(deep, options) == encode(rounded, options)


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_metadata_is_kept_or_stripped_and_the_profile_always_kept(
    name: str, metadata: Literal["keep", "strip"]
) -> None:
    image = dataclasses.replace(gentle(), metadata=Metadata(SRGB, EXIF, XMP))
    read = by_pillow(encode(image, EncodeOptions(name, metadata=metadata)))
    assert read.info["icc_profile"] == SRGB
    if metadata == "strip":
        assert not dict(read.getexif()).keys() & {0x010F, 0x8769}
        assert not read.info.get("xmp")
        return
    kept = read.getexif()
    assert kept[0x010F] == "Lens & Sons"
    assert kept.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert kept.get_ifd(0x8769)[0xA002] == WIDTH
    assert kept.get_ifd(0x8825)[2] == (52.0, 30.0, 1.5)
    assert read.info["xmp"] == XMP


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_what_is_written_is_read_back_with_all_that_travels_beside_it(name: str) -> None:
    image = dataclasses.replace(gentle(), metadata=Metadata(SRGB, EXIF, XMP))
    data = encode(image, EncodeOptions(name))
    stated = exif.resized(EXIF, width=WIDTH, height=HEIGHT)
    assert decode(data, read_header(data)).metadata == Metadata(SRGB, stated, XMP)


def test_the_stated_size_is_the_answers() -> None:
    larger = dataclasses.replace(gentle(), colour=smooth().repeat(4, 0).repeat(4, 1), metadata=Metadata(exif=EXIF))
    stated = by_pillow(encode(larger, EncodeOptions("jpeg"))).getexif().get_ifd(0x8769)
    assert (stated[0xA002], stated[0xA003]) == (4 * WIDTH, 4 * HEIGHT)


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "avif"])
def test_a_grey_profile_goes_with_grey(name: str) -> None:
    image = picture(grey=True, metadata=Metadata(icc_profile=grey_profile()))
    assert by_pillow(encode(image, EncodeOptions(name))).info["icc_profile"] == grey_profile()


def test_a_profile_larger_than_a_jpeg_segment_is_cut_and_joined() -> None:
    large = SRGB + bytes(200_000)
    image = dataclasses.replace(gentle(), metadata=Metadata(icc_profile=large))
    assert by_pillow(encode(image, EncodeOptions("jpeg"))).info["icc_profile"] == large


def test_a_transparent_picture_is_no_jpeg_and_the_answer_says_what_it_can_be() -> None:
    with pytest.raises(AlphaNotRepresentable) as refused:
        encode(picture(alpha=True), EncodeOptions("jpeg"))
    assert refused.value.members["supported"] == ["png", "webp", "avif", "tiff"]
    assert refused.value.status == 422


@pytest.mark.parametrize("bits", [8, 16])
def test_an_alpha_that_hides_nothing_may_be_left_out_of_a_jpeg(bits: int) -> None:
    image = picture(bits=bits)
    image.alpha = np.full((HEIGHT, WIDTH), (1 << bits) - 1, image.colour.dtype)
    assert by_pillow(encode(image, EncodeOptions("jpeg"))).mode == "RGB"


@pytest.mark.parametrize("name", LOSSLESS)
def test_an_alpha_that_hides_nothing_is_still_written(name: str) -> None:
    image = picture()
    image.alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert by_pillow(encode(image, EncodeOptions(name))).mode == "RGBA"


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_picture_is_left_as_it_was(name: str, grey: bool, bits: int) -> None:
    image = picture(bits=bits, grey=grey, alpha=name != "jpeg", metadata=Metadata(None, EXIF, XMP))
    colour, alpha = image.colour.copy(), None if image.alpha is None else image.alpha.copy()
    encode(image, EncodeOptions(name, quality=100))
    np.testing.assert_array_equal(image.colour, colour)
    np.testing.assert_array_equal(image.alpha, alpha)
    assert image.metadata == Metadata(None, EXIF, XMP)


@pytest.mark.parametrize(
    ("name", "height", "width", "limit"),
    [
        ("jpeg", 65_501, 2, 65_500),
        ("webp", 2, 16_384, 16_383),
        ("avif", 6_000, 4_001, 24_000_000),
    ],
)
def test_a_size_the_format_cannot_hold_is_refused_before_the_work(
    name: str, height: int, width: int, limit: int
) -> None:
    with pytest.raises(OutputTooLarge) as refused:
        check_encodable(gentle(), EncodeOptions(name), height=height, width=width)
    assert refused.value.members["limit"] == limit
    assert str(limit) in refused.value.detail
    check_encodable(gentle(), EncodeOptions("png"), height=height, width=width)


@pytest.mark.parametrize("quality", [90, 100])
@pytest.mark.parametrize("alpha", [False, True])
def test_webp_takes_fewer_pixels_where_it_codes_them_without_loss(quality: int, alpha: bool) -> None:
    options = EncodeOptions("webp", quality=quality)
    if not alpha and quality < 100:
        check_encodable(gentle(), options, height=8_000, width=12_000)
        return
    with pytest.raises(OutputTooLarge, match="40000000"):
        check_encodable(gentle(alpha=alpha), options, height=8_000, width=12_000)


def test_metadata_a_jpeg_has_no_room_for_is_refused_before_the_work() -> None:
    image = dataclasses.replace(gentle(), metadata=Metadata(xmp=bytes(70_000)))
    with pytest.raises(BadParameter, match="metadata=strip"):
        check_encodable(image, EncodeOptions("jpeg"), height=10, width=10)
    check_encodable(image, EncodeOptions("jpeg", metadata="strip"), height=10, width=10)
    check_encodable(image, EncodeOptions("webp"), height=10, width=10)


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_an_absurd_quality_is_refused_in_every_format(name: str) -> None:
    with pytest.raises(BadParameter, match="quality=101"):
        encode(gentle(), EncodeOptions(name, quality=101))


def test_an_unknown_format_is_the_programs_mistake() -> None:
    with pytest.raises(ValueError, match="gif"):
        encode(gentle(), EncodeOptions("gif"))


# --- compression of png

COMPRESSIONS: tuple[Literal["fast", "small"], ...] = ("fast", "small")


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_png_holds_every_bit_however_it_is_compressed(
    compression: Literal["fast", "small"], bits: int, grey: bool, alpha: bool
) -> None:
    whole = picture(bits=bits, grey=grey, alpha=alpha)
    wave = (np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % 64).astype(whole.colour.dtype)
    for image in (whole, dataclasses.replace(whole, colour=np.repeat(wave[..., None], 3, axis=2))):
        file = encode(image, EncodeOptions("png", compression=compression))
        channels = [image.colour[..., :1] if grey else image.colour]
        channels += [] if image.alpha is None else [image.alpha[..., None]]
        assert np.array_equal(by_another_reader(file, "png"), np.concatenate(channels, axis=-1).squeeze())


def test_a_small_png_is_smaller_than_a_fast_one_and_hardly_larger_than_pillows() -> None:
    y, x = np.mgrid[0:300, 0:400]
    waves = np.stack([60 * np.sin(y / 9) + 128, 50 * np.cos(x / 7) + 99, (x + y) / 3], axis=-1).astype(np.uint8)
    image = DecodedImage(waves, None, grey=False, metadata=Metadata(), source_format="png")
    fast, small = (len(encode(image, EncodeOptions("png", compression=each))) for each in COMPRESSIONS)
    file = io.BytesIO()
    Image.fromarray(waves).save(file, "PNG")
    assert small < fast
    assert small < 1.02 * len(file.getvalue())
