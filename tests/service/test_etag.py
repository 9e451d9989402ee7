"""Entity-tags are strong and differ wherever an answer may; If-None-Match is read as RFC 9110 has it."""

import pytest

from service.etag import is_named, strong_etag

TAG = '"a1b2"'


@pytest.mark.parametrize(
    "lines",
    [
        ['"a1b2"'],
        ['W/"a1b2"'],  # the weak comparison
        ['"x", "a1b2"'],
        ['"x","a1b2","y"'],
        ['W/"x" ,\t"a1b2"'],
        [' "a1b2" '],
        ['"x"', '"a1b2"'],  # a header in several lines
        [', ,"a1b2",'],  # empty members
        ['"with,comma", "a1b2"'],
        ["*"],
        [" * "],
        ['"x"', "*"],
    ],
)
def test_a_header_that_names_the_tag(lines: list[str]) -> None:
    assert is_named(TAG, lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ['"a1b3"'],
        ["a1b2"],  # without quotes it is no tag
        ['"A1B2"'],
        ['w/"a1b2"'],
        ['"x", a1b2'],
        ['"x" "a1b2"'],
        ['"with "a1b2" inside"'],
        ['"*"'],
        ['"x, "a1b2'],
        ['*, "x"'],
    ],
)
def test_a_header_that_does_not(lines: list[str]) -> None:
    assert not is_named(TAG, lines)


def test_a_tag_of_its_own_is_read_back() -> None:
    tag = strong_etag({"input": "1"})
    assert tag.startswith('"')
    assert is_named(tag, [f'"x", {tag}'])


def test_equal_facts_have_equal_tags_in_any_order_and_others_have_not() -> None:
    assert strong_etag({"a": 1, "b": 2}) == strong_etag({"b": 2, "a": 1})
    tags = [strong_etag(facts) for facts in ({"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": 1, "b": None}, {})]
    assert len(set(tags)) == len(tags)


def test_another_version_of_a_library_has_other_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    before = strong_etag({"a": 1})
    monkeypatch.setattr("service.etag._versions", lambda: {"pillow": "99"})
    assert strong_etag({"a": 1}) != before
