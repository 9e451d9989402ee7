"""GET / for people, and the files that the page loads."""

import re

import httpx2
import pytest

from service.routes.page import FOLDER, POLICY
from tests.service.routes.asking import problem

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("application/json, text/html;q=0.9", False),
        ("application/json;q=0.5, TEXT/HTML", True),
        ("text/html;q=0", False),
        ("text/html;q=many", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_a_browser_gets_the_page_and_everybody_else_the_index(
    client: httpx2.Client, accept: str, is_page: bool
) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == ("text/html; charset=utf-8" if is_page else "application/json")
    assert "Accept" in answer.headers["vary"]


def test_the_page_may_load_nothing_but_its_own(client: httpx2.Client) -> None:
    answer = client.get("/", headers={"Accept": BROWSER})
    assert answer.headers["content-security-policy"] == POLICY
    assert "'unsafe-inline'" not in POLICY
    assert re.search(r"(src|href)=\"(https?:)?//", answer.text) is None
    assert re.search(r"<script(?![^>]* src=)|<style| on[a-z]+=| style=", answer.text) is None


def test_every_file_that_the_page_names_is_served_and_no_other(client: httpx2.Client) -> None:
    page = client.get("/", headers={"Accept": BROWSER}).text
    named = set(re.findall(r'(?:src|href)="web/([^"]+)"', page))
    seen: set[str] = set()
    while named - seen:
        name = (named - seen).pop()
        answer = client.get(f"/web/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
        seen.add(name)
        named |= set(re.findall(r'from "\./([^"]+)"', answer.text))
    assert seen == {path.name for path in (FOLDER / "assets").iterdir()}


@pytest.mark.parametrize("name", ["none.js", "index.html", "..%2Findex.html", "%2e%2e%2fpage.py", "app.js/"])
def test_what_is_no_file_of_the_page_is_not_found(client: httpx2.Client, name: str) -> None:
    problem(client.get(f"/web/{name}"), 404, "not-found")


def test_a_file_that_has_not_changed_is_not_sent_again(client: httpx2.Client) -> None:
    first = client.get("/web/app.js")
    again = client.get("/web/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/web/app.js", headers={"If-None-Match": '"other"'}).status_code == 200


def test_behind_a_prefix_the_pages_links_begin_with_it(client: httpx2.Client) -> None:
    page = client.get("/", headers={"Accept": BROWSER, "X-Forwarded-Prefix": "/tools/sr"}).text
    assert '<base href="/tools/sr/">' in page


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "https://evil.example", '/"><script>', "/a b", "relative", "/a//b", "/" + "x" * 9000]
)
def test_a_prefix_that_is_no_path_is_passed_over(client: httpx2.Client, prefix: str) -> None:
    page = client.get("/", headers={"Accept": BROWSER, "X-Forwarded-Prefix": prefix})
    assert page.status_code == 200
    assert "<base" not in page.text
