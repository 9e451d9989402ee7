"""A headless Chromium with what the tests of the page ask of it."""

import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
PATIENCE_S = 60.0


def programs() -> tuple[str, str] | None:
    """The paths of Chromium and its driver; None where one of them is not installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window. `profile` is an empty folder for it."""

    def __init__(self, profile: Path, downloads: Path) -> None:
        found = programs()
        assert found is not None
        options = webdriver.ChromeOptions()
        options.binary_location = found[0]
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(found[1]))
        self.downloads = downloads
        self.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self.resize(1280, 900)

    def tell(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - Chromium's own answers
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def resize(self, width: int, height: int) -> None:
        """The window's inside, in CSS pixels; one is a screen pixel."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", **metrics)

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what the script returns
        return self.driver.execute_script(script, *arguments)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """The element, once it is there and seen."""
        found: list[WebElement] = []

        def is_seen() -> bool:
            found[:] = [element for element in self.all(css) if element.is_displayed()]
            return bool(found)

        self.until(is_seen, f"{css} is seen")
        return found[0]

    def button(self, text: str) -> WebElement:
        """The first button with that text, once it is there."""
        found: list[WebElement] = []

        def is_there() -> bool:
            found[:] = [button for button in self.all("button") if button.text == text]
            return bool(found)

        self.until(is_there, f"a button {text!r}")
        return found[0]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for it."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"never: {what}\n{self.one('body').text}\n{self.complaints()}"
            time.sleep(0.05)

    def _holds(self, condition: Callable[[], object]) -> bool:
        try:
            return bool(condition())
        except StaleElementReferenceException:  # the page has put another element in its place meanwhile
            return False

    def choose(self, *paths: Path) -> None:
        """Choose files, as the reader does."""
        before = len(self.all("#pictures li"))
        self.driver.find_element(By.ID, "files").send_keys("\n".join(str(path) for path in paths))
        self.until(lambda: len(self.all("#pictures li")) == before + len(paths), "the pictures are listed")

    def set(self, css: str, value: object) -> None:
        """Give a control a value, as the reader does."""
        self.run(
            "const e = document.querySelector(arguments[0]);"
            "if (e.type === 'checkbox') { if (e.checked !== arguments[1]) e.click(); return; }"
            "e.value = arguments[1];"
            "for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, {bubbles: true}));",
            css,
            value,
        )

    def canvas(self, at: int = 0) -> NDArray[np.uint8]:
        """The pixels [H,W,4] of a pane, once they are drawn."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        script = "return document.querySelectorAll('#panes canvas')[arguments[0]].toDataURL('image/png')"
        return pixels_of_url(self.run(script, at))

    def complaints(self) -> list[str]:
        """What the browser's console has said since the last call: errors, and violations of the policy."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def close(self) -> None:
        self.driver.quit()


def pixels_of_url(url: str) -> NDArray[np.uint8]:
    """The pixels in a data: URL of a PNG."""
    import base64

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))
