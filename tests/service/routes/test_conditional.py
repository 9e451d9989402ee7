"""If-None-Match on /upscale and /degrade: 304 without any work for the answer that the caller has, only for that."""

from typing import Any

import httpx2
import imagecodecs
import numpy as np
import pytest

from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, bomb, pixels
from tests.service.routes.asking import SMALL, ask, ask_worse, problem


def etag(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


def test_the_answer_names_itself_and_belongs_into_the_callers_cache_only(client: httpx2.Client) -> None:
    headers = ask(client).headers
    assert headers["etag"].startswith('"')  # strong
    assert headers["cache-control"] == "private, no-cache"
    assert headers["vary"] == "Accept"
    assert "vary" not in ask(client, format="png").headers


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_an_answer_that_the_caller_has_is_not_made_again(
    live_server: LiveServer, client: httpx2.Client, form: str
) -> None:
    tag = etag(ask(client))
    request_id = f"conditional-{len(form)}"
    answer = ask(client, headers={"If-None-Match": form.format(tag), "X-Request-ID": request_id})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Accept"
    assert "content-type" not in answer.headers

    def logged() -> list[dict[str, Any]]:
        return [line for line in live_server.lines() if line["request_id"] == request_id]

    assert eventually(lambda: bool(logged()))
    assert set(logged()[0]["stages"]) == {"read", "decode"}  # of which only the header was


def test_several_lines_of_the_header_are_one_list(client: httpx2.Client) -> None:
    tag = etag(ask(client))
    headers = [("If-None-Match", '"x"'), ("If-None-Match", tag)]
    answer = client.post("/upscale?model=nearest&scale=2", content=SMALL, headers=headers)
    assert answer.status_code == 304


def test_no_pixel_is_decoded_for_it(client: httpx2.Client) -> None:
    content = bomb(500, 400)  # its header is good, its pixels are not
    problem(ask(client, content), 422, "undecodable-image")
    assert ask(client, content, headers={"If-None-Match": "*"}).status_code == 304


def test_a_picture_that_would_be_refused_is_refused_whatever_the_caller_has(client: httpx2.Client) -> None:
    problem(ask(client, b"hello", headers={"If-None-Match": "*"}), 415, "unsupported-media")
    problem(ask(client, bomb(8000, 4001), headers={"If-None-Match": "*"}), 422, "too-many-pixels")


@pytest.mark.parametrize("value", ['"other"', "a1b2", '"', ""])
def test_another_answers_name_changes_nothing(client: httpx2.Client, value: str) -> None:
    assert ask(client, headers={"If-None-Match": value}).status_code == 200


def test_everything_that_changes_the_answer_changes_its_name(client: httpx2.Client) -> None:
    content = as_file(pixels(9, 7))
    answers = [
        ask(client, content),
        ask(client, as_file(pixels(9, 7, seed=1))),
        ask(client, content, model="blur"),
        ask(client, content, scale=3),
        ask(client, content, scale=1.5),
        ask(client, content, scale=2.5),
        ask(client, content, scale=None, width=13, height=18),
        ask(client, content, ensemble="true"),
        ask(client, content, tiling="exact"),
        ask(client, content, metadata="strip"),
        ask(client, content, format="tiff"),
        ask(client, content, format="jpeg"),
        ask(client, content, format="jpeg", quality=50),
        ask_worse(client, content, seed=1),
        ask_worse(client, content, seed=2),
    ]
    wide = bytes(imagecodecs.png_encode(pixels(9, 7).astype(np.uint16) * 257))
    answers += [ask(client, wide), ask(client, wide, ensemble="true")]
    tags = [etag(answer) for answer in answers]
    assert len(set(tags)) == len(tags)


def test_what_does_not_change_the_answer_does_not_change_its_name(client: httpx2.Client) -> None:
    tags = {
        etag(ask(client)),
        etag(ask(client, scale="2.0")),
        etag(ask(client, scale=None, width=14)),
        etag(ask(client, scale=None, height=18)),
        etag(ask(client, format="png")),
        etag(ask(client, headers={"Accept": "image/png"})),
        etag(client.post("/upscale?model=nearest&scale=2", files={"file": ("a.png", SMALL)})),
    }
    assert len(tags) == 1
    assert etag(ask(client, format="jpeg")) == etag(ask(client, format="jpeg", quality=95))


def test_a_degradation_without_a_seed_is_another_each_time(client: httpx2.Client) -> None:
    first = ask_worse(client)
    again = ask_worse(client, headers={"If-None-Match": etag(first)})
    assert again.status_code == 200
    seeded = ask_worse(client, seed=first.headers["x-sr-seed"], headers={"If-None-Match": etag(first)})
    assert seeded.status_code == 304


def test_two_settings_of_the_tiles_have_two_names(launch: Launch, client: httpx2.Client) -> None:
    with launch(max_tile=96).client() as other:
        assert etag(ask(other)) != etag(ask(client))


def test_refusals_are_never_stored(client: httpx2.Client) -> None:
    assert ask(client, b"hello").headers["cache-control"] == "no-store"
