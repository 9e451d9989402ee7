"""srserve upscale against the running service: what is made, skipped, refused, and with which exit status."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests import oracles
from tests.client.cli.command import process, srserve
from tests.client.scripted import Scripted, scripted
from tests.conftest import REPOSITORY, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, format_of, pixels

NEAREST = ("--model", "nearest", "--scale", "2")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a.png, b.png and deep/c.png, and a file that is no picture by its name."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(["a.png", "b.png", "deep/c.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_file(pixels(6, 5, seed=seed)))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_files_become_files_of_the_folder(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    ran = srserve("upscale", photos / "a.png", photos / "b.png", "-o", tmp_path / "out", *NEAREST, url=live_server.url)
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "2 done\n"
    for seed, name in enumerate(["a.png", "b.png"]):
        made = as_pixels((tmp_path / "out" / name).read_bytes())
        assert np.array_equal(made, oracles.nearest(pixels(6, 5, seed=seed), 2))


def test_a_folder_keeps_its_shape_and_what_is_no_picture_is_left_out(
    photos: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    ran = srserve("upscale", photos, "-o", tmp_path / "out", "-f", "webp", *NEAREST, url=live_server.url)
    assert ran.status == 0
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
    assert made == {"a.webp", "b.webp", "deep/c.webp", ".srserve.jsonl"}
    assert format_of((tmp_path / "out" / "deep" / "c.webp").read_bytes()) == "WEBP"


@pytest.mark.parametrize(
    ("name", "kind"), [("x.jpg", "JPEG"), ("x.webp", "WEBP"), ("x.avif", "AVIF"), ("x.tif", "TIFF"), ("x.png", "PNG")]
)
def test_the_outputs_suffix_says_the_format(
    photos: Path, live_server: LiveServer, tmp_path: Path, name: str, kind: str
) -> None:
    ran = srserve("upscale", photos / "a.png", "-o", tmp_path / name, *NEAREST, url=live_server.url)
    assert ran.status == 0
    assert format_of((tmp_path / name).read_bytes()) == kind
    assert not (tmp_path / ".srserve.jsonl").exists()


def test_results_of_any_size_can_be_asked_for(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    for wish in (["--scale", "1.6"], ["--width", "8"], ["--height", "10", "--width", "8", "--ensemble"]):
        output = tmp_path / "-".join(wish)
        ran = srserve("upscale", photos / "a.png", "-o", output, "-m", "nearest", *wish, url=live_server.url)
        assert ran.status == 0, ran.err
        assert as_pixels((output / "a.png").read_bytes()).shape == (10, 8, 3)
    ran = srserve("upscale", photos / "a.png", "-o", tmp_path / "out", "-m", "nearest", url=live_server.url)
    assert ran.status == 2
    assert "scale is missing; choose one of: 2, 3, 4" in ran.err


def test_what_is_done_is_skipped_and_what_has_changed_is_not(
    photos: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    command = ("upscale", photos, "-o", tmp_path / "out", *NEAREST)
    assert srserve(*command, url=live_server.url).err == "3 done\n"
    assert srserve(*command, url=live_server.url).err == "3 skipped\n"
    (tmp_path / "out" / "b.png").unlink()
    assert srserve(*command, url=live_server.url).err == "1 done, 2 skipped\n"
    (photos / "a.png").write_bytes(as_file(pixels(7, 7)))
    changed = srserve(*command, url=live_server.url)
    assert changed.status == 1
    assert "a.png is there already, made otherwise: --overwrite" in changed.err
    assert srserve(*command, "--overwrite", url=live_server.url).status == 0
    assert as_pixels((tmp_path / "out" / "a.png").read_bytes()).shape == (14, 14, 3)
    assert srserve(*command, url=live_server.url).err == "3 skipped\n"


def test_other_parameters_and_other_files_are_not_taken_for_done(
    photos: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"somebody's own")
    ran = srserve("upscale", photos, "-o", tmp_path / "out", *NEAREST, url=live_server.url)
    assert ran.status == 1
    assert ran.err.endswith("2 done, 1 failed\n")
    assert (tmp_path / "out" / "a.png").read_bytes() == b"somebody's own"
    other = srserve("upscale", photos, "-o", tmp_path / "out", "-m", "nearest", "-s", "3", url=live_server.url)
    assert other.err.endswith("3 failed\n")


def test_a_record_that_was_cut_short_is_read_as_far_as_it_goes(
    photos: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    command = ("upscale", photos, "-o", tmp_path / "out", *NEAREST)
    srserve(*command, url=live_server.url)
    record = tmp_path / "out" / ".srserve.jsonl"
    record.write_text(record.read_text()[:-20])
    ran = srserve(*command, url=live_server.url)
    assert "1 failed" in ran.err
    assert "2 skipped" in ran.err


def test_a_bad_picture_fails_alone_and_the_status_is_1(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(as_file(pixels(6, 5))[:50])
    ran = srserve("upscale", photos, "-o", tmp_path / "out", *NEAREST, url=live_server.url)
    assert ran.status == 1
    assert ran.err.endswith("3 done, 1 failed\n")
    assert f"{photos / 'bad.png'}: " in ran.err
    assert "undecodable-image" in ran.err


def test_json_has_a_line_for_every_picture(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"GIF89a")
    command = ("upscale", photos, "-o", tmp_path / "out", *NEAREST, "--json")
    lines = {Path(line["input"]).name: line for line in srserve(*command, url=live_server.url).lines}
    assert {name: line["status"] for name, line in lines.items()} == {
        "a.png": "done",
        "b.png": "done",
        "c.png": "done",
        "bad.png": "failed",
    }
    assert lines["c.png"]["output"] == str(tmp_path / "out" / "deep" / "c.png")
    assert len(lines["a.png"]["model_version"]) == 12
    assert lines["bad.png"]["error"]["code"] == "unsupported-media"
    again = srserve(*command, url=live_server.url).lines
    assert [line["status"] for line in again].count("skipped") == 3


def test_a_wrong_parameter_ends_it_at_once_with_status_2(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    before = len(live_server.lines())
    command = ("upscale", photos, "-o", tmp_path / "out", "-m", "nearest", "-s", "9", "-j", "1")
    ran = srserve(*command, url=live_server.url)
    assert ran.status == 2
    assert "It has 2, 3, 4." in ran.err
    assert "2 left: the same command goes on" in ran.err
    assert eventually(lambda: len(live_server.lines()) == before + 1)


def test_a_service_that_is_not_there_is_status_3(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srserve_client.cli.connection.PATIENT", 0)
    with scripted(Scripted()) as server:
        pass
    ran = srserve("upscale", photos, "-o", tmp_path / "out", *NEAREST, url=server.url)
    assert ran.status == 3
    assert f"{server.url} does not answer" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.png", "-o", "out"], "none.png is not there"),
        (["photos/a.png", "photos/deep/a.png", "-o", "out"], "would both become"),
        (["photos/a.png", "-o", "photos"], "would be overwritten by its own result"),
        (["empty", "-o", "out"], "empty holds no picture"),
        (["-", "photos/a.png", "-o", "out"], "- stands for one picture"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_is_sent(
    photos: Path, arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (photos / "deep" / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    ran = srserve("upscale", *arguments, *NEAREST, url="http://127.0.0.1:9")
    assert ran.status == 2
    assert said in ran.err


def test_an_address_that_is_none_is_wrong_use(photos: Path, tmp_path: Path) -> None:
    ran = srserve("upscale", photos, "-o", tmp_path / "out", *NEAREST, "--base-url", "nonsense")
    assert ran.status == 2
    assert "'nonsense' is no http or https URL" in ran.err


def test_it_is_a_filter_of_the_shell(live_server: LiveServer, tmp_path: Path) -> None:
    lr = pixels(4, 3)
    command = process("upscale", "-", "-o", "-", *NEAREST, url=live_server.url, cwd=tmp_path)
    out, err = command.communicate(as_file(lr), timeout=60)
    assert (command.returncode, err) == (0, b"")
    assert np.array_equal(as_pixels(out), oracles.nearest(lr, 2))


def test_a_terminal_sees_a_bar_with_the_time_that_is_left(
    photos: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "srserve_client", "upscale", "photos", "-o", "out", *NEAREST]
    environment = os.environ | {"SR_BASE_URL": live_server.url, "PYTHONPATH": str(REPOSITORY / "client")}
    environment |= {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=end) as running:
        os.close(end)
        shown = b""
        with suppress(OSError):  # EIO: nobody holds the other end any more
            while part := os.read(terminal, 1 << 16):
                shown += part
    os.close(terminal)
    assert running.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n").splitlines()
    assert any(re.search(r"0/3 .*left -:--:--", line) for line in lines), lines
    assert any(re.search(r"3/3 0:00:\d\d left 0:00:00", line) for line in lines), lines
    assert "3 done" in lines


def test_ctrl_c_stops_it_and_the_same_command_goes_on(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    never = threading.Event()
    first = Scripted(headers={"Content-Type": "image/png"}, body=b"the first answer")
    command = ("upscale", "photos/a.png", "photos/b.png", "-o", "out", *NEAREST, "-j", "1")
    with scripted(first, Scripted(wait=never)) as server:
        stopped = process(*command, url=server.url, cwd=tmp_path)
        assert eventually(lambda: len(server.asked) == 2, timeout_s=60)
        stopped.send_signal(signal.SIGINT)
        _, err = stopped.communicate(timeout=60)
        never.set()
    assert stopped.returncode == 130, err
    assert err == b"1 done, 1 left: the same command goes on\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".srserve.jsonl", "a.png"]
    again = process(*command, url=live_server.url, cwd=tmp_path)
    _, err = again.communicate(timeout=60)
    assert (again.returncode, err) == (0, b"1 done, 1 skipped\n")


def test_the_record_says_how_each_was_made(photos: Path, live_server: LiveServer, tmp_path: Path) -> None:
    srserve("upscale", photos / "a.png", "-o", tmp_path / "out", *NEAREST, url=live_server.url)
    (line,) = (tmp_path / "out" / ".srserve.jsonl").read_text().splitlines()
    facts = json.loads(line)
    assert facts["output"] == "a.png"
    assert facts["input"] == str(photos / "a.png")
    assert (facts["parameters"]["model"], facts["parameters"]["scale"]) == ("nearest", 2.0)
