"""Every example runs against the running service, and does what its first lines say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import oracles
from tests.client.scripted import Scripted, scripted
from tests.conftest import REPOSITORY, LiveServer, eventually
from tests.service.pictures import as_file, as_pixels, format_of, pixels
from tests.service.video.samples import Sample, moving, read_pictures, write

EXAMPLES = REPOSITORY / "examples"
LR = pixels(10, 8)
ONE_PICTURE = {
    "upscale.py": [sys.executable, str(EXAMPLES / "upscale.py")],
    "upscale.mjs": ["node", str(EXAMPLES / "upscale.mjs")],
    "upscale.sh": ["sh", str(EXAMPLES / "upscale.sh")],
}


def run(command: list[str], *, url: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = os.environ | {"SR_BASE_URL": url, "PYTHONPATH": str(REPOSITORY / "client")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def one_picture(name: str, picture: str, *, url: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    options = ["--model", "nearest", "--scale", "2"] if name == "upscale.py" else ["nearest", "2"]
    return run([*ONE_PICTURE[name], picture, "large.png", *options], url=url, cwd=cwd)


def test_every_example_is_run_here() -> None:
    tested = {*ONE_PICTURE, "thumbnails.py", "camera.py", "video.py", "test_own_code.py"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tested


@pytest.mark.parametrize("name", ONE_PICTURE)
def test_one_picture_comes_back_larger(name: str, live_server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "a photo.png").write_bytes(as_file(LR))
    done = one_picture(name, "a photo.png", url=live_server.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(as_pixels((tmp_path / "large.png").read_bytes()), oracles.nearest(LR, 2))


@pytest.mark.parametrize("name", ONE_PICTURE)
def test_a_refusal_is_told_and_leaves_no_file(name: str, live_server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(as_file(LR)[:60])
    done = one_picture(name, "photo.png", url=live_server.url, cwd=tmp_path)
    assert done.returncode == 1
    assert "undecodable-image" in done.stderr or "damaged" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize("name", ONE_PICTURE)
def test_a_full_service_is_asked_again(name: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(as_file(LR))
    full = Scripted(
        429,
        {"Content-Type": "application/problem+json", "Retry-After": "1"},
        b'{"code": "overloaded", "status": 429, "detail": "full", "retryable": true}',
    )
    with scripted(full, Scripted(headers={"Content-Type": "image/png"}, body=b"picture")) as server:
        done = one_picture(name, "photo.png", url=server.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "large.png").read_bytes() == b"picture"
    assert [asked.body for asked in server.asked] == [as_file(LR)] * 2


def test_thumbnails_are_made_once(live_server: LiveServer, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for seed in range(3):
        (old / f"{seed}.png").write_bytes(as_file(pixels(6, 6, seed=seed)))
    (old / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    command = [sys.executable, str(EXAMPLES / "thumbnails.py"), "old", "new", "--model", "nearest"]
    first = run(command, url=live_server.url, cwd=tmp_path)
    assert (first.returncode, first.stdout) == (1, "3 made, 0 were there, 1 failed\n"), first.stderr
    assert "broken.jpg: undecodable-image" in first.stderr
    assert format_of((tmp_path / "new" / "2.webp").read_bytes()) == "WEBP"
    (old / "broken.jpg").unlink()
    assert run(command, url=live_server.url, cwd=tmp_path).stdout == "0 made, 3 were there, 0 failed\n"


def test_a_cameras_frames_come_back_as_they_are_taken(live_server: LiveServer, tmp_path: Path) -> None:
    """Each frame is put into the pipe when the one before it has come out at the other end."""
    command = [sys.executable, str(EXAMPLES / "camera.py"), "--model", "nearest", "--scale", "2", "-o", "out"]
    environment = os.environ | {"SR_BASE_URL": live_server.url, "PYTHONPATH": str(REPOSITORY / "client")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as camera:
        assert camera.stdin is not None
        for index in range(3):
            camera.stdin.write(as_file(pixels(16, 16, seed=index), "JPEG"))
            camera.stdin.flush()
            assert eventually((tmp_path / "out" / f"{index:06d}.jpg").exists, timeout_s=60)
        _, err = camera.communicate(timeout=60)
    assert (camera.returncode, err) == (0, b"3 frames, 0 failed\n")
    assert as_pixels((tmp_path / "out" / "000002.jpg").read_bytes()).shape == (32, 32, 3)


def test_the_tests_of_own_code_pass_without_a_service(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_own_code.py")]
    done = run(command, url="http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_video_is_handed_in_followed_and_fetched(live_server: LiveServer, tmp_path: Path) -> None:
    write(tmp_path / "in.mp4", Sample(moving(6), [512 * at for at in range(6)]))
    command = [sys.executable, str(EXAMPLES / "video.py"), "in.mp4", "out.mp4", "--model", "nearest", "--scale", "2"]
    done = run(command, url=live_server.url, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out.mp4\n"), done.stderr
    assert "succeeded 6/6 frames" in done.stderr
    assert [(picture.width, picture.height) for picture in read_pictures(tmp_path / "out.mp4")] == [(192, 128)] * 6
    (tmp_path / "broken.mp4").write_bytes((tmp_path / "in.mp4").read_bytes()[:900])
    command[2] = "broken.mp4"
    refused = run(command, url=live_server.url, cwd=tmp_path)
    assert refused.returncode == 1
    assert "undecodable-video" in refused.stderr or "cannot be opened" in refused.stderr
