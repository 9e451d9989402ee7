"""srserve video: from a file to a file through a job, gone on with after a stop, canceled by Ctrl-C."""

import signal
from collections.abc import Iterator
from pathlib import Path

import av
import httpx2
import pytest

from srserve_client import Client
from tests import oracles
from tests.client.cli.command import process, srserve
from tests.conftest import LiveServer, _end, _start, eventually
from tests.service.video.samples import Sample, moving, read_pictures, write

LONG = 360  # frames


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With small tiles, so that a video takes a while."""
    store = oracles.make_store(tmp_path_factory.mktemp("store"))
    started = _start(store, tmp_path_factory.mktemp("server") / "server.log", {"max_tile": 24})
    yield started
    _end(started)


def clip(path: Path, count: int) -> Path:
    return write(path, Sample(moving(count), [512 * at for at in range(count)], audio=True))


def jobs(server: LiveServer) -> list[Path]:
    """The folders of those that have one."""
    return [path for path in server.log.with_suffix(".jobs").iterdir() if len(path.name) == 32]


def test_a_video_comes_back_larger_in_the_container_of_its_name(server: LiveServer, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 20)
    command = ["video", source, "-o", tmp_path / "out.mkv", "-m", "blur", "-s", "2", "--codec", "h265", "--json"]
    ran = srserve(*command, url=server.url)
    assert ran.status == 0, ran.err
    states = ran.lines
    assert states[-1]["state"] == "succeeded"
    assert states[-1]["progress"] == {"unit": "frames", "done": 20, "total": 20, "fraction": 1.0, "eta_s": None}
    assert states[0]["parameters"]["container"] == "mkv"
    found = read_pictures(tmp_path / "out.mkv")
    assert [(picture.width, picture.height) for picture in found] == [(192, 128)] * 20
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    refused = srserve(*command, url=server.url)
    assert (refused.status, "--overwrite" in refused.err) == (2, True)


def test_a_size_may_be_asked_for(server: LiveServer, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 3)
    ran = srserve("video", source, "-o", tmp_path / "out.mp4", "-m", "blur", "--height", "96", url=server.url)
    assert ran.status == 0, ran.err
    assert [(picture.width, picture.height) for picture in read_pictures(tmp_path / "out.mp4")] == [(144, 96)] * 3


def test_what_the_service_refuses_is_one_line_and_a_status(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(clip(tmp_path / "whole.mp4", 3).read_bytes()[:900])
    damaged = srserve("video", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", "-m", "blur", "-s", "2", url=server.url)
    assert (damaged.status, "undecodable-video" in damaged.err) == (1, True)
    wrong = srserve("video", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", "-m", "none", "-s", "2", url=server.url)
    assert (wrong.status, "unknown-model" in wrong.err) == (2, True)
    gone = srserve("video", tmp_path / "none.mp4", "-o", tmp_path / "out.mp4", "-m", "blur", "-s", "2", url=server.url)
    assert gone.status == 2
    assert not (tmp_path / "out.mp4").exists()


def test_ctrl_c_cancels_the_job(server: LiveServer, tmp_path: Path) -> None:
    command = ["video", clip(tmp_path / "in.mp4", LONG), "-o", "out.mp4", "-m", "blur", "-s", "2", "--json"]
    before = set(jobs(server))
    running = process(*command, url=server.url, cwd=tmp_path)
    assert running.stdout is not None
    assert b'"running"' in next(line for line in running.stdout if b'"running"' in line)
    (folder,) = set(jobs(server)) - before
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert f"job {folder.name} canceled" in err.decode()
    with Client(base_url=server.url) as client:
        assert client.jobs.get(folder.name).state == "canceled"
    assert not (tmp_path / "out.mp4").exists()


def test_a_command_that_was_killed_goes_on_with_its_job(server: LiveServer, tmp_path: Path) -> None:
    command = ["video", clip(tmp_path / "in.mp4", LONG), "-o", "out.mp4", "-m", "blur", "-s", "2", "--json"]
    before = set(jobs(server))
    running = process(*command, url=server.url, cwd=tmp_path)
    assert running.stdout is not None
    assert b'"running"' in next(line for line in running.stdout if b'"running"' in line)
    running.kill()
    running.communicate(timeout=60)
    again = process(*command, url=server.url, cwd=tmp_path)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    (folder,) = set(jobs(server)) - before
    assert folder.name.encode() in out
    assert len(read_pictures(tmp_path / "out.mp4")) == LONG
    with httpx2.Client(base_url=server.url) as http:
        assert eventually(lambda: http.get(f"/jobs/{folder.name}").json()["state"] == "succeeded")
