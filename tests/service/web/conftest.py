"""Fixtures for tests of the page in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LiveServer
from tests.service.web.chromium import Browser, programs


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests."""
    if programs() is None:
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium chromium-driver)")
    browser = Browser(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads"))
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Browser]:
    """The page of `live_server`, its models listed. Afterwards: nothing in the console, nothing asked of others."""
    chromium.resize(1280, 900)
    chromium.open(live_server.url)
    chromium.one("#models label")
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []
    chromium.run("localStorage.clear()")
    asked = chromium.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [url for url in asked if not url.startswith((live_server.url, "blob:"))] == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of random pixels, 24 high and 32 wide, with a blank and a quote in its name."""
    from tests.service.pictures import as_file, pixels

    path = tmp_path / "it's a photo.png"
    path.write_bytes(as_file(pixels(24, 32)))
    return path
