"""The page in a real browser against the running service."""

import base64
import io
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from service.keys.__main__ import main as keys
from tests import oracles
from tests.conftest import REPOSITORY, Launch, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, format_of, pixels
from tests.service.video.samples import Sample, moving, read_pictures, write
from tests.service.web.chromium import Browser
from tests.service.web.gateway import gateway

LR = pixels(24, 32)


def order(page: Browser, *models: str, scale: int = 2) -> None:
    """Choose models and scale, and send."""
    page.set("#scale", scale)
    for box in page.all("input[name=model]"):
        name = box.get_attribute("value")
        if box.is_selected() != (name in models):
            box.click()
    page.button("Upscale").click()


def upscaled(page: Browser, photo: Path, *models: str, scale: int = 2) -> None:
    """Order, and wait until it can be compared."""
    page.choose(photo)
    order(page, *models, scale=scale)
    page.until(lambda: len([b for b in page.all("#runs button") if b.text == "Compare"]) == len(models), "all are done")


def seen(page: Browser, *, height: int, width: int, at: int = 0) -> np.ndarray:
    """The middle of a pane at 100 %, as large as the picture."""
    canvas = page.canvas(at)
    top, left = canvas.shape[0] // 2 - height // 2, canvas.shape[1] // 2 - width // 2
    return canvas[top : top + height, left : left + width, :3]


# --- a picture and its result


def test_a_chosen_picture_comes_back_larger_to_the_bit(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest", scale=3)
    page.set("#split", 0)
    page.button("100 %").click()
    assert np.array_equal(seen(page, height=72, width=96), oracles.nearest(LR, 3))
    assert "96 × 72, in " in page.one("#runs li").text


def test_before_the_line_is_the_original_and_after_it_the_result(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "blur")
    page.set("#pixels", True)
    page.button("100 %").click()
    for split, before, after in ((100, LR, LR), (0, None, None), (50, LR, None)):
        page.set("#split", split)
        shown = seen(page, height=48, width=64)
        left = oracles.nearest(before, 2) if before is not None else oracles.blur(LR, 2)
        right = oracles.nearest(after, 2) if after is not None else oracles.blur(LR, 2)
        clear = 12 if split == 50 else 0  # the line and its handle
        assert np.array_equal(shown[:, : 32 - clear], left[:, : 32 - clear]), split
        assert np.array_equal(shown[:, 32 + clear :], right[:, 32 + clear :]), split


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Browser, way: str) -> None:
    page.run(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "given.png", { type: "image/png" }));
        const event = arguments[1] === "drop"
          ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
        """,
        base64.b64encode(as_file(LR)).decode(),
        way,
    )
    assert "given.png\n32 × 24" in page.one("#pictures li").text
    order(page, "nearest")
    assert "64 × 48" in page.one("#runs li:has(select)").text


def test_a_picture_can_be_taken_back(page: Browser, photo: Path) -> None:
    page.choose(photo)
    assert page.button("Upscale").is_enabled()
    page.button("Remove").click()
    assert page.all("#pictures li") == []
    assert not page.button("Upscale").is_enabled()


def test_a_model_without_the_scale_cannot_be_chosen_and_says_what_it_has(page: Browser, photo: Path) -> None:
    page.choose(photo)
    page.set("#scale", 3)
    label = page.one("label:has(input[value=blur])")
    assert not page.all("input[value=blur]")[0].is_enabled()
    assert "has × 2" in label.text
    page.set("#scale", 2)
    assert page.all("input[value=blur]")[0].is_enabled()


# --- what it will take


def test_what_it_will_take_is_told_before_anything_is_sent(page: Browser, photo: Path) -> None:
    page.choose(photo)
    page.until(lambda: page.one("#prediction").text.startswith("Predicted: less than a second"), "a prediction")
    page.button("Remove").click()
    page.until(lambda: page.run("return document.querySelector('#prediction').textContent") == "", "no prediction")


def test_what_would_be_refused_is_told_before_it_is_sent(chromium: Browser, launch: Launch, photo: Path) -> None:
    server = launch(max_input_pixels=500)
    chromium.open(server.url)
    chromium.one("#models label")
    chromium.choose(photo)
    chromium.until(lambda: "at most 500 are taken" in chromium.one("#prediction").text, "why not")


# --- zoom and pan


def test_panes_side_by_side_move_and_zoom_as_one(page: Browser, photo: Path) -> None:
    """The original's pixels and nearest neighbour's are one picture: both panes show the same if they see the same."""
    upscaled(page, photo, "nearest", "blur")
    page.set("#side-by-side", True)
    page.set("#pixels", True)
    assert [caption.text for caption in page.all("figcaption")] == ["original", "blur ×2", "nearest ×2"]
    first = page.all("#panes canvas")[0]
    page.button("100 %").click()
    before = page.canvas(0)
    ActionChains(page.driver).drag_and_drop_by_offset(page.all("#panes canvas")[1], 10, -8).perform()
    page.button("+").click()
    page.button("+").click()
    page.button("+").click()
    first.send_keys(Keys.ARROW_LEFT, "+")
    after = page.canvas(0)
    assert not np.array_equal(before, after)
    assert np.array_equal(after, page.canvas(2))
    assert not np.array_equal(after, page.canvas(1))
    assert page.one("#zoom").text.endswith("%")


def test_the_keyboard_moves_zooms_and_draws_the_line(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest")
    canvas = page.one("#panes canvas")
    canvas.send_keys("1")
    page.until(lambda: page.one("#zoom").text == "100 %", "100 %")
    canvas.send_keys("+")
    page.until(lambda: page.one("#zoom").text == "125 %", "125 %")
    still = page.canvas()
    canvas.send_keys(Keys.ARROW_UP)
    assert not np.array_equal(page.canvas(), still)
    canvas.send_keys("0")
    page.until(lambda: page.one("#zoom").text == "fit", "fit")
    still = page.canvas()
    page.one("#split").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert not np.array_equal(page.canvas(), still)


def test_the_line_is_drawn_by_its_handle_and_all_else_moves_the_picture(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest")
    canvas = page.one("#panes canvas")
    ActionChains(page.driver).move_to_element(canvas).click_and_hold().move_by_offset(100, 0).release().perform()
    split = float(page.one("#split").get_property("value"))  # type: ignore[arg-type]
    assert split == pytest.approx(50 + 100 * 100 / canvas.size["width"], abs=0.5)
    assert page.one("#zoom").text == "fit"
    ActionChains(page.driver).move_to_element_with_offset(canvas, -150, 40).click_and_hold().move_by_offset(
        30, 0
    ).release().perform()
    assert float(page.one("#split").get_property("value")) == split  # type: ignore[arg-type]
    assert page.one("#zoom").text != "fit"


def test_the_wheel_zooms_around_the_pointer(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest")
    page.set("#split", 0)
    page.button("100 %").click()
    at = (21, -9)  # the middle of a pixel of the original
    point = page.canvas()
    spot = (point.shape[0] // 2 + at[1], point.shape[1] // 2 + at[0])
    colour = point[spot]
    page.run(
        """
        const canvas = document.querySelector("#panes canvas");
        const box = canvas.getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        const at = { clientX: x + arguments[0], clientY: y + arguments[1] };
        for (let i = 0; i < 8; i++) canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -1, bubbles: true, ...at }));
        """,
        *at,
    )
    zoomed = page.canvas()
    assert page.one("#zoom").text == "596 %"
    assert np.array_equal(zoomed[spot], colour)


# --- cancel, errors


def test_cancel_stops_a_picture_that_is_being_sent(page: Browser, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    big.write_bytes(as_file(pixels(700, 700)))
    page.choose(big, big, big)
    page.tell("Network.enable")
    page.tell(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=2000
    )
    try:
        order(page, "nearest")
        page.until(lambda: "sending" in page.one("#runs").text, "it is being sent")
        assert [row.text.splitlines()[1] for row in page.all("#runs li")][2].endswith("waits")
        for _ in range(3):
            page.button("Cancel").click()
        page.until(lambda: page.one("#runs").text.count("canceled") == 3, "all are canceled")
    finally:
        page.tell(
            "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
    assert page.all("#runs button") == []
    assert page.all("#runs progress") == []


def test_a_refusal_is_told_with_its_code_and_request(page: Browser, tmp_path: Path, live_server: LiveServer) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(as_file(LR)[:-60])
    page.choose(broken)
    order(page, "nearest")
    told = page.one("#runs [role=alert]").text
    assert "undecodable-image" in told
    request_id = told.partition("request ")[2].rstrip(")")
    assert eventually(lambda: any(line["request_id"] == request_id for line in live_server.lines()))
    assert "cannot be shown by this browser" in page.one("#pictures li").text
    assert "422" in page.complaints()[0]  # the browser's own word for it


def test_a_service_that_is_gone_is_told_and_asked_again(chromium: Browser, launch: Launch, photo: Path) -> None:
    server = launch()
    chromium.open(server.url)
    chromium.choose(photo)
    assert server.stop() == 0
    order(chromium, "nearest")
    assert "does not answer" in chromium.one("#runs [role=alert]").text
    again = launch(port=server.port)
    chromium.button("Try again").click()
    chromium.one("#runs li:has(select)")
    assert again.url == server.url
    chromium.complaints()


def test_when_the_models_cannot_be_had_the_page_says_so(chromium: Browser, live_server: LiveServer) -> None:
    no_network = "window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))"
    script = chromium.tell("Page.addScriptToEvaluateOnNewDocument", source=no_network)
    try:
        chromium.open(live_server.url)
        assert "does not answer" in chromium.one("#models [role=alert]").text
    finally:
        chromium.tell("Page.removeScriptToEvaluateOnNewDocument", **script)


# --- what can be taken away


def test_downloads_are_files_of_the_chosen_format(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest")
    for name, suffix in (("png", "png"), ("tiff", "tif"), ("webp", "webp")):
        page.set("#runs select", name)
        page.button("Download").click()
        path = page.downloads / f"it's a photo-nearest-x2.{suffix}"
        page.until(path.exists, f"{path.name} is saved")
        assert format_of(path.read_bytes()) == name.upper()
        if name != "webp":
            assert np.array_equal(as_pixels(path.read_bytes()), oracles.nearest(LR, 2))
        path.unlink()


def test_the_curl_and_the_python_that_are_shown_do_the_same(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest")
    page.one("#details summary").click()
    curl, python = (element.text for element in page.all("#details code"))
    for command in (["bash", "-c", curl], [sys.executable, "-c", python]):
        made = photo.parent / "it's a photo-nearest-x2.png"
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY / "client")}
        done = subprocess.run(
            command, cwd=photo.parent, env=environment, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert np.array_equal(as_pixels(made.read_bytes()), oracles.nearest(LR, 2))
        made.unlink()
    assert shlex.split(curl)[0] == "curl"
    assert "X-SR-Device: cpu" in page.one("#details .hint").text


# --- behind a gateway


@pytest.mark.parametrize(
    ("path", "names_prefix"), [("/tools/sr/", False), ("/tools/sr/", True), ("/tools/sr", True)], ids=str
)
def test_it_works_under_a_path_prefix(
    chromium: Browser, live_server: LiveServer, photo: Path, path: str, names_prefix: bool
) -> None:
    """Without the slash at its end, the gateway has to name the prefix."""
    with gateway(live_server.url, names_prefix=names_prefix) as url:
        chromium.open(url + path)
        chromium.one("#models label")
        upscaled(chromium, photo, "nearest")
        assert chromium.run("return document.querySelector('nav a').href") == f"{url}/tools/sr/docs"
        chromium.one("#details summary").click()
        assert f"{url}/tools/sr/upscale?" in chromium.one("#details code").text
        assert chromium.complaints() == []
        chromium.open("about:blank")  # its connections end before the gateway does


# --- for everybody


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_overflows_at_any_width(page: Browser, photo: Path, width: int) -> None:
    page.resize(width, 900)
    upscaled(page, photo, "nearest", "blur")
    page.one("#details summary").click()
    for beside in (False, True):
        page.set("#side-by-side", beside)
        assert page.run("return document.documentElement.scrollWidth") <= width
        outside = page.run(
            "return [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth"
            " && !e.closest('pre')).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert outside == []


def test_it_is_dark_where_the_reader_wants_it_dark(page: Browser) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        grounds[scheme] = page.run("return getComputedStyle(document.body).backgroundColor")
    page.tell("Emulation.setEmulatedMedia", features=[])
    assert grounds == {"light": "rgb(250, 250, 248)", "dark": "rgb(22, 24, 26)"}


def test_everything_that_can_be_used_has_a_name_for_screen_readers(page: Browser, photo: Path) -> None:
    upscaled(page, photo, "nearest", "blur")
    page.tell("Accessibility.enable")
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "checkbox", "combobox", "slider", "textbox", "link", "img", "image", "progressbar"}
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    nameless = [node for node in used if not node.get("name", {}).get("value")]
    assert nameless == []
    names = [node["name"]["value"] for node in used]
    assert len(used) > 15
    assert any("Compare it's a photo.png, nearest ×2" in name for name in names)


def test_the_keyboard_alone_is_enough(page: Browser, photo: Path) -> None:
    """From the top by Tab: every control gets the focus, shows it, and Enter on the button sends the order."""
    page.choose(photo)
    page.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached: list[str] = []
    for _ in range(40):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        active = page.driver.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("value") or active.text)
        if active.get_attribute("id") == "start":
            outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            ActionChains(page.driver).send_keys(Keys.ENTER).perform()
            break
    assert {"files", "key-button", "nearest", "scale", "start"} <= set(reached)
    page.one("#runs li")


def test_what_happens_is_announced(page: Browser, photo: Path) -> None:
    page.choose(photo)
    told = "return document.getElementById('announcer').textContent"
    assert page.run(told) == "it's a photo.png chosen."
    order(page, "nearest")
    page.until(lambda: page.run(told) == "it's a photo.png, nearest ×2: done.", "the end is announced")


def test_a_key_is_sent_with_everything_and_only_for_this_tab(page: Browser, photo: Path) -> None:
    page.run("for (const label of document.querySelectorAll('#models label')) label.dataset.old = 1")
    page.button("API key").click()
    page.one("#key-input").send_keys("secret", Keys.ENTER)
    page.until(lambda: not page.all("dialog[open]"), "the dialog is closed")
    page.until(lambda: page.all("#models label") and not page.all("[data-old]"), "the models are asked for anew")
    headers = page.run(
        """
        const sent = [];
        const original = XMLHttpRequest.prototype.setRequestHeader;
        XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
          sent.push([name, value]);
          original.call(this, name, value);
        };
        window.sent = sent;
        return [sessionStorage.length, localStorage.length];
        """
    )
    assert headers == [1, 0]
    upscaled(page, photo, "nearest")
    assert ["Authorization", "Bearer secret"] in page.run("return window.sent")
    page.one("#details summary").click()
    assert "secret" not in page.one("#details").text
    page.run("sessionStorage.clear()")


def test_a_service_with_keys_asks_for_one_and_takes_it(
    chromium: Browser, launch: Launch, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = photo.parent / "keys.json"
    assert keys(["--file", str(file), "make", "Ada", "--model", "nearest"]) == 0
    key = capsys.readouterr().out.strip()
    chromium.open(launch(keys=file).url)
    chromium.one("#key-input").send_keys("srk_wrong", Keys.ENTER)
    chromium.until(lambda: "A key is needed" in chromium.one("#models").text, "the refusal is told")
    chromium.until(lambda: chromium.all("dialog[open]"), "it asks again")
    chromium.one("#key-input").clear()
    chromium.one("#key-input").send_keys(key, Keys.ENTER)
    chromium.one("#models label")
    assert chromium.all("#models [role=alert]") == []
    chromium.choose(photo)
    order(chromium, "blur", "nearest")
    chromium.one("#runs li:has(select)")
    assert "model-not-allowed" in chromium.one("#runs [role=alert]").text
    chromium.run("sessionStorage.clear()")
    assert all("401" in line or "403" in line for line in chromium.complaints())


def test_under_a_path_prefix_a_key_goes_along(
    chromium: Browser, launch: Launch, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for, taken, sent with models and pictures, and gone from the gateway's other paths."""
    file = photo.parent / "keys.json"
    assert keys(["--file", str(file), "make", "Ada"]) == 0
    key = capsys.readouterr().out.strip()
    server = launch(keys=file)
    with gateway(server.url, names_prefix=True) as url:
        chromium.open(f"{url}/tools/sr")
        chromium.one("#key-input").send_keys(key, Keys.ENTER)
        chromium.one("#models label")
        upscaled(chromium, photo, "nearest")
        chromium.run("sessionStorage.clear()")
        assert all("401" in line for line in chromium.complaints())  # the question that found out that a key is needed
        chromium.open("about:blank")
    served = [line for line in server.lines() if line["path"] in ("/models", "/upscale") and line["status"] == 200]
    assert {line["path"] for line in served} == {"/models", "/upscale"}
    assert {line["key"] for line in served} == {key.split("_")[1]}


def test_a_picture_on_its_side_is_shown_upright(page: Browser, tmp_path: Path) -> None:
    """EXIF orientation is applied on both sides of the line."""
    file = io.BytesIO()
    image = Image.fromarray(LR)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(file, "PNG", exif=exif)
    path = tmp_path / "turned.png"
    path.write_bytes(file.getvalue())
    upscaled(page, path, "nearest")
    page.set("#pixels", True)
    page.button("100 %").click()
    turned = np.rot90(LR, -1)
    for split in (0, 100):
        page.set("#split", split)
        assert np.array_equal(seen(page, height=64, width=48), oracles.nearest(turned, 2))


# --- videos


def a_video(path: Path, count: int = 6) -> Path:
    return write(path, Sample(moving(count), [512 * at for at in range(count)]))


def row_of(page: Browser, state: str) -> str:
    """The text of the only job, once it tells of `state`."""
    page.until(lambda: [row for row in page.all("#job-list li") if state in row.text], f"a job that is {state}")
    (row,) = page.all("#job-list li")
    return row.text


def test_a_video_becomes_a_job_whose_result_is_downloaded(page: Browser, tmp_path: Path) -> None:
    page.choose(a_video(tmp_path / "a film.mp4"))
    assert "a video: it becomes a job" in page.one("#pictures li").text
    order(page, "nearest")
    assert "a film.mp4\nnearest ×2 done" in row_of(page, "done")
    link = page.one("#job-list a")
    path = page.downloads / f"{str(link.get_attribute('href')).split('/')[-2]}.mp4"
    link.click()
    assert eventually(path.exists)
    assert [(picture.width, picture.height) for picture in read_pictures(path)] == [(192, 128)] * 6
    page.one("#job-list button[aria-label='Remove a film.mp4, nearest ×2']").click()
    assert page.all("#job-list li") == []


def test_a_job_is_followed_by_a_page_that_was_opened_again_and_canceled_there(
    chromium: Browser, launch: Launch, tmp_path: Path
) -> None:
    server = launch(max_tile=16)
    chromium.open(server.url)
    chromium.one("#models label")
    chromium.choose(a_video(tmp_path / "long.mp4", 360))
    order(chromium, "blur")
    row_of(chromium, "of 360 frames")
    bar = "return document.querySelector('#job-list progress').value"
    chromium.until(lambda: 0 < float(chromium.run(bar)) < 1, "progress")
    chromium.open(server.url)
    assert "long.mp4" in row_of(chromium, "of 360 frames")
    chromium.one("#job-list button[aria-label='Cancel long.mp4, blur ×2']").click()
    row_of(chromium, "canceled")
    folder = server.log.with_suffix(".jobs")
    assert eventually(lambda: not [path for path in folder.iterdir() if len(path.name) == 32])
    chromium.one("#job-list button[aria-label='Remove long.mp4, blur ×2']").click()
    chromium.open(server.url)
    chromium.one("#models label")
    assert chromium.all("#job-list li") == []
    assert chromium.complaints() == []


def test_a_video_that_is_refused_says_why(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(a_video(tmp_path / "whole.mp4").read_bytes()[:900])
    page.choose(tmp_path / "cut.mp4")
    order(page, "nearest")
    assert "undecodable-video" in row_of(page, "failed")
    page.complaints()  # the browser notes every refusal


def test_a_picture_that_takes_too_long_to_be_waited_for_becomes_a_job(
    chromium: Browser, launch: Launch, tmp_path: Path
) -> None:
    server = launch(deadline_s=0.05)
    (tmp_path / "large.png").write_bytes(as_file(np.zeros((1500, 1500, 3), np.uint8)))
    chromium.open(server.url)
    chromium.one("#models label")
    chromium.choose(tmp_path / "large.png")
    chromium.until(lambda: "becomes a job" in chromium.one("#prediction").text, "what it becomes")
    order(chromium, "nearest")
    row_of(chromium, "done")
