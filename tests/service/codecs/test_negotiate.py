"""The answer's format is the one asked for, else the best that Accept allows, else png."""

import pytest

from service.codecs import MEDIA_TYPES, OUTPUT_FORMATS, check_quality, choose_format
from service.errors import BadParameter, NotAcceptable

BROWSER = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_a_named_format_wins_over_any_accept_header(name: str) -> None:
    assert choose_format(name, "image/gif") == name


@pytest.mark.parametrize(("asked", "meant"), [("JPEG", "jpeg"), ("jpg", "jpeg"), (" tif ", "tiff"), ("Png", "png")])
def test_usual_spellings_are_understood(asked: str, meant: str) -> None:
    assert choose_format(asked, None) == meant


@pytest.mark.parametrize("asked", ["gif", "bmp", "", "png,jpeg", "x" * 10_000])
def test_an_unknown_format_is_answered_with_those_that_can_be_written(asked: str) -> None:
    with pytest.raises(BadParameter) as refused:
        choose_format(asked, None)
    assert refused.value.members["supported"] == list(OUTPUT_FORMATS)
    assert refused.value.members["parameter"] == "format"
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "png"),
        ("", "png"),
        ("*/*", "png"),
        ("image/*", "png"),
        ("image/webp", "webp"),
        ("image/jpg", "jpeg"),
        ("IMAGE/WEBP;Q=1", "webp"),
        ("image/jpeg;q=0.5, image/webp;q=0.9", "webp"),
        ("image/jpeg, image/png", "png"),
        ("image/jpeg, */*", "jpeg"),
        ("image/webp;q=0.3, */*;q=0.5", "png"),
        ("image/png;q=0, image/*", "jpeg"),
        ("application/problem+json, image/tiff", "tiff"),
        ("image/avif;q=abc, image/tiff;q=0.1", "tiff"),
        ("image/tiff ; level=1 ; q=0.4", "tiff"),
        (",,;;,image/avif", "avif"),
        (BROWSER, "webp"),
    ],
)
def test_accept_is_weighed(accept: str | None, chosen: str) -> None:
    assert choose_format(None, accept) == chosen


@pytest.mark.parametrize("accept", ["image/gif", "text/html", "image/*;q=0", "*/*;q=0", "image/png;q=7", "nonsense"])
def test_an_accept_header_that_allows_nothing_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        choose_format(None, accept)
    assert refused.value.status == 406
    assert refused.value.members["supported"] == [MEDIA_TYPES[name] for name in OUTPUT_FORMATS]


@pytest.mark.parametrize("quality", [None, 1, 75, 100])
def test_qualities_from_1_to_100_are_taken(quality: int | None) -> None:
    check_quality(quality)


@pytest.mark.parametrize("quality", [0, -1, 101, 10**30])
def test_another_quality_is_refused_with_limit_and_value(quality: int) -> None:
    with pytest.raises(BadParameter) as refused:
        check_quality(quality)
    assert refused.value.members == {"parameter": "quality", "limit": [1, 100], "actual": quality}
