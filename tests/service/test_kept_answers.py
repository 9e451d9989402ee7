"""What was made lately is given again, to the same key only, and within its room; over real HTTP too."""

from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import pytest

from service.kept_answers import KeptAnswers
from service.keys.__main__ import main
from tests import oracles
from tests.conftest import Launch, LiveServer
from tests.service.pictures import as_file, as_pixels, pixels

PATH = "/upscale?model=nearest&scale=2"


@dataclass(frozen=True)
class Answer:
    content: bytes


def kept(*, max_bytes: int = 100) -> KeptAnswers[Answer]:
    return KeptAnswers(max_bytes=max_bytes)


def test_the_owner_gets_it_again_and_nobody_else() -> None:
    answers, mine = kept(), Answer(b"mine")
    answers.keep("a", "tag", mine)
    assert answers.find("a", "tag") is mine
    assert answers.find("b", "tag") is None
    assert answers.find("a", "other") is None


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    answers = kept()
    for name in "vwxyz":
        answers.keep("a", name, Answer(bytes(20)))
    assert answers.bytes == 100
    assert answers.find("a", "v")
    answers.keep("a", "new", Answer(bytes(21)))
    assert [name for name in ("v", "w", "x", "y", "z", "new") if answers.find("a", name)] == ["v", "y", "z", "new"]
    assert answers.bytes == 81


def test_what_would_drive_out_too_many_is_not_kept_and_nothing_twice() -> None:
    answers = kept()
    answers.keep("a", "large", Answer(bytes(26)))
    assert (answers.find("a", "large"), answers.bytes) == (None, 0)
    answers.keep("a", "same", Answer(b"12"))
    answers.keep("a", "same", Answer(b"12"))
    assert answers.bytes == 2


def test_without_room_it_is_off() -> None:
    answers = kept(max_bytes=0)
    assert not answers.is_on
    assert kept().is_on


# --- through HTTP


@pytest.fixture
def keeping(launch: Launch) -> LiveServer:
    return launch(kept_answer_bytes=1_000_000)


def same(first: httpx2.Response, second: httpx2.Response) -> bool:
    varying = {"date", "x-request-id", "server-timing", "cache-status"}
    one, two = ({name: text for name, text in each.headers.items() if name not in varying} for each in (first, second))
    return first.content == second.content and one == two


def test_the_second_time_it_is_given_without_a_run_and_is_the_same(keeping: LiveServer) -> None:
    lr = pixels(20, 30)
    with keeping.client() as client:
        first = client.post(PATH, content=as_file(lr))
        second = client.post(PATH, content=as_file(lr))
        other = client.post(PATH + "&format=webp", content=as_file(lr))
    assert np.array_equal(as_pixels(second.content), oracles.nearest(lr, 2))
    assert same(first, second)
    assert first.headers["cache-status"] == "srserve; fwd=miss"
    assert second.headers["cache-status"] == "srserve; hit"
    assert other.headers["cache-status"] == "srserve; fwd=miss"
    assert "infer;" not in second.headers["server-timing"]


def test_a_refusal_is_not_kept(keeping: LiveServer) -> None:
    content = as_file(pixels(20, 30))[:-40]
    with keeping.client() as client:
        for _ in range(2):
            refused = client.post(PATH, content=content)
            assert refused.status_code == 422
            assert "cache-status" not in refused.headers


def test_unless_asked_for_nothing_is_kept(client: httpx2.Client) -> None:
    for _ in range(2):
        assert "cache-status" not in client.post(PATH, content=as_file(pixels(20, 31))).headers


def test_never_for_another_key(launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, content = tmp_path / "keys.json", as_file(pixels(20, 30))
    texts = []
    for name in ("Ada", "Brook"):
        assert main(["--file", str(path), "make", name, "--pixels-per-minute", "900"]) == 0
        texts.append(capsys.readouterr().out.strip())
    with launch(keys=path, kept_answer_bytes=1_000_000).client() as client:

        def ask(text: str, **headers: str) -> httpx2.Response:
            return client.post(PATH, content=content, headers={"Authorization": f"Bearer {text}", **headers})

        first = ask(texts[0])
        assert ask(texts[1]).headers["cache-status"] == "srserve; fwd=miss"
        # 600 of 900 pixels are used; what is not made again is not counted again, else the third were refused.
        for _ in range(3):
            assert ask(texts[0]).headers["cache-status"] == "srserve; hit"
            assert ask(texts[0], **{"If-None-Match": first.headers["etag"]}).status_code == 304
