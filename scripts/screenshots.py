"""Screenshots: the page at three widths, light and dark, in Chromium, against the service with the store's own models.

    python -m scripts.screenshots docs/page

The picture is `chelsea`, a photograph of a cat by Stefan van der Walt (CC0) that scikit-image ships, half as large.
"""

import argparse
import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage.data import chelsea

from benchmarks.serving import service
from tests.service.web.chromium import Browser

WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1440}
HEIGHT = 900  # of the window; the pictures are as long as the page
SCHEMES = ("light", "dark")
MODELS, SCALE = ("edsr", "espcn"), 4
QUALITY = 80


def main(arguments: list[str]) -> int:
    """Writes WIDTH-SCHEME.webp for each into the folder."""
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, service(log_level="error") as client:
        photo = Path(temporary, "chelsea.png")
        _photograph().save(photo)
        (profile := Path(temporary, "profile")).mkdir()
        browser = Browser(profile, Path(temporary))
        try:
            browser.tell("Emulation.setScrollbarsHidden", hidden=True)
            for name, width in WIDTHS.items():
                for scheme in SCHEMES:
                    browser.tell(
                        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
                    )
                    browser.resize(width, HEIGHT)
                    _compare(browser, str(client.base_url), photo, beside=name == "desktop")
                    path = folder / f"{name}-{scheme}.webp"
                    _shot(browser, width).save(path, quality=QUALITY, method=6)
                    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        finally:
            browser.close()
    return 0


def _photograph() -> Image.Image:
    picture = Image.fromarray(chelsea())
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC)


def _compare(browser: Browser, url: str, photo: Path, *, beside: bool) -> None:
    """Order, wait, and look at the results."""
    browser.open(url)
    browser.one("#models label")
    browser.choose(photo)
    browser.set("#scale", SCALE)
    for box in browser.all("input[name=model]"):
        if box.is_selected() != (box.get_attribute("value") in MODELS):
            box.click()
    browser.button("Upscale").click()
    browser.until(
        lambda: len([one for one in browser.all("#runs button") if one.text == "Compare"]) == len(MODELS),
        "all are done",
    )
    browser.set("#side-by-side", beside)
    browser.one("#details summary").click()
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    browser.canvas()


def _shot(browser: Browser, width: int) -> Image.Image:
    """The whole page."""
    height = browser.run("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    taken = browser.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
