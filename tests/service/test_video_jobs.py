"""Videos as jobs over a real server: exact pictures, everything else as it was, and the same file whatever happens."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from service.jobs.store import JobStore
from service.reduction import reduced_colour
from tests import oracle_kinds, oracles
from tests.conftest import REPOSITORY, Launch, LiveServer, _end, _start, eventually
from tests.service.pictures import as_file, as_pixels, pixels
from tests.service.routes.asking import problem
from tests.service.routes.test_jobs import document, finished, hand_in
from tests.service.video.children import video_children
from tests.service.video.samples import (
    BT601,
    FULL_RANGE,
    Pixels,
    Sample,
    grey,
    moving,
    packets,
    read_pictures,
    rgb,
    times,
    uneven,
    write,
)

EVEN = [512 * at for at in range(400)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`nearest`, `oriented`, `clip` (each 16 bits too), and `slow`: blur, so dear that segments are 24 frames."""
    store = tmp_path_factory.mktemp("store")
    for proto in (oracles.nearest_graph(2), oracles.nearest_graph(2, "float32")):
        oracles.save_graph(store, "nearest", 2, proto)
    for proto in (oracle_kinds.oriented_graph(2), oracle_kinds.oriented_graph(2, "float32")):
        oracles.save_graph(store, "oriented", 2, proto)
    for proto in (oracle_kinds.clip_graph(2), oracle_kinds.clip_graph(2, "float32")):
        facts = oracles.get_manifest(proto).model_copy(update={"macs_per_lr_pixel": 10_000_000})
        oracles.save_graph(store, "clip", 2, oracles.set_manifest(proto, facts))
    slow = oracles.blur_graph(2)
    facts = oracles.get_manifest(slow).model_copy(update={"macs_per_lr_pixel": 10_000_000})
    oracles.save_graph(store, "slow", 2, oracles.set_manifest(slow, facts))
    return store


@pytest.fixture(scope="module")
def server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(store, tmp_path_factory.mktemp("server")) as started:
        yield started


@contextmanager
def running(store: Path, folder: Path, **settings: object) -> Iterator[LiveServer]:
    folder.mkdir(exist_ok=True)
    started = _start(store, folder / "server.log", {"max_tile": 64} | settings)
    try:
        yield started
    finally:
        _end(started)


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


def upscaled(client: httpx2.Client, video: Path, target: Path, **query: str) -> tuple[Path, dict[str, Any]]:
    """The result's file, and the job's document."""
    job = finished(client, hand_in(client, video.read_bytes(), **query))
    assert job["state"] == "succeeded", job["problem"]
    path = target / f"result.{job['result']['container']}"
    path.write_bytes(client.get(job["links"]["result"]).content)
    return path, job


def expected_clip(frames: list[Pixels]) -> list[Pixels]:
    last = len(frames) - 1
    windows = [[frames[max(at - 1, 0)], frames[at], frames[min(at + 1, last)]] for at in range(len(frames))]
    return [oracle_kinds.clip(np.stack(window), 2) for window in windows]


def exact(frames: list[Pixels], suffix: str, folder: Path, timestamps: list[int] | None = None) -> Path:
    """A video whose pictures are decoded to the very `frames`, which are grey."""
    sample = Sample(
        frames,
        timestamps or [33 * at for at in range(len(frames))],
        time_base=Fraction(1, 1000),
        codec="ffv1",
        pixel_format="yuv444p",
        colour=FULL_RANGE,
    )
    return write(folder / f"exact{suffix}", sample)


# --- pictures


@pytest.mark.parametrize("count", [1, 3, 60])
def test_every_picture_is_the_networks_to_the_bit(client: httpx2.Client, tmp_path: Path, count: int) -> None:
    """60 frames are three segments, whose ends must not show."""
    frames = grey(count)
    result, job = upscaled(client, exact(frames, ".mkv", tmp_path), tmp_path, model="clip", codec="ffv1")
    found = read_pictures(result)
    assert len(found) == count
    for picture, wanted in zip(found, expected_clip(frames), strict=True):
        assert np.array_equal(rgb(picture), wanted)
    assert (job["result"]["frames"], job["result"]["width"], job["result"]["height"]) == (count, 192, 128)
    assert job["progress"]["done"] == job["progress"]["total"] == count


def test_the_folder_of_jobs_may_be_named_from_where_the_service_was_started(store: Path, tmp_path: Path) -> None:
    """As it is by default; the processes that decode and encode stand elsewhere."""
    folder = Path("tests") / os.path.relpath(tmp_path / "jobs", REPOSITORY / "tests")  # leads nowhere from "/"
    with running(store, tmp_path / "server", jobs=folder) as server, server.client() as client:
        result, _ = upscaled(client, exact(grey(2), ".mkv", tmp_path), tmp_path, model="nearest", codec="ffv1")
    assert len(read_pictures(result)) == 2


def test_pictures_are_not_blended_across_a_cut(client: httpx2.Client, tmp_path: Path) -> None:
    first, second = grey(30), [255 - frame for frame in grey(25)]
    video = exact(first + second, ".mkv", tmp_path)
    for detection, wanted in (
        ("on", expected_clip(first) + expected_clip(second)),
        ("off", expected_clip(first + second)),
    ):
        result, _ = upscaled(client, video, tmp_path, model="clip", codec="ffv1", scene_detection=detection)
        found = [rgb(picture) for picture in read_pictures(result)]
        assert [np.array_equal(picture, lr) for picture, lr in zip(found, wanted, strict=True)] == [True] * 55


def test_more_than_eight_bits_are_kept(client: httpx2.Client, tmp_path: Path) -> None:
    frames = [(frame.astype(np.uint16) * 4 + number % 4) * 64 for number, frame in enumerate(grey(5))]
    sample = Sample(frames, EVEN[:5], codec="ffv1", pixel_format="yuv420p10le", colour=(9, 16, 9, 1))
    video = write(tmp_path / "ten.mkv", sample)
    for codec, allowed in (("ffv1", 1), ("h265", 20)):  # of 1023; the second is lossy
        result, job = upscaled(client, video, tmp_path, codec=codec, **({"crf": "0"} if codec == "h265" else {}))
        assert job["result"]["pixel_format"] == "yuv420p10le"
        for before, after in zip(read_pictures(video), read_pictures(result), strict=True):
            assert (after.color_primaries, after.color_trc, after.colorspace, after.color_range) == (9, 16, 9, 1)
            found, wanted = luma(after), oracles.nearest(luma(before), 2)
            assert np.abs(found - wanted).max() <= allowed
            assert np.unique(found % 4).size == 4  # not 8 bits, shifted


def luma(frame: Any) -> Pixels:  # noqa: ANN401 - a frame
    plane = frame.planes[0]
    rows: Pixels = np.frombuffer(plane, np.uint16).reshape(frame.height, -1)
    return rows[:, : frame.width].astype(int)


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "colour"),
    [
        ("h264", ".mp4", "yuv420p", BT601),
        ("h265", ".mov", "yuv422p", (1, 1, 1, 1)),
        ("av1", ".mp4", "yuv420p", (1, 13, 1, 2)),
        ("ffv1", ".mkv", "yuv444p", (5, 1, 5, 1)),
    ],
)
def test_colours_pixel_format_and_shape_of_pixels_are_kept(
    client: httpx2.Client, tmp_path: Path, codec: str, suffix: str, pixel_format: str, colour: tuple[int, ...]
) -> None:
    aspect = Fraction(1) if codec == "ffv1" else Fraction(4, 3)
    sample = Sample(moving(8), EVEN[:8], pixel_format=pixel_format, colour=colour, aspect=aspect)  # type: ignore[arg-type]
    video = write(tmp_path / f"colours{suffix}", sample)
    result, job = upscaled(client, video, tmp_path, codec=codec)
    assert job["result"]["codec"] == codec
    found = read_pictures(result)
    before = read_pictures(video)
    for lr, sr in zip(before, found, strict=True):
        assert (sr.color_primaries, sr.color_trc, sr.colorspace, sr.color_range) == colour
        assert sr.format.name.replace("yuvj", "yuv") == lr.format.name.replace("yuvj", "yuv")
        assert np.abs(rgb(sr).astype(int) - oracles.nearest(rgb(lr), 2).astype(int)).mean() < 4
    assert aspect_of(result) == aspect_of(video) == aspect


def aspect_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_picture_comes_out_upright(client: httpx2.Client, tmp_path: Path, rotation: int) -> None:
    frames = moving(4)
    video = write(tmp_path / "turned.mp4", Sample(frames, EVEN[:4], rotation=rotation))
    result, job = upscaled(client, video, tmp_path)
    upright = [np.rot90(rgb(picture), rotation // 90) for picture in read_pictures(video)]
    for picture, lr in zip(read_pictures(result), upright, strict=True):
        assert picture.rotation == 0
        assert np.abs(rgb(picture).astype(int) - oracles.nearest(lr, 2).astype(int)).mean() < 4
    assert (job["source"]["width"], job["source"]["height"]) == ((64, 96) if rotation % 180 else (96, 64))


@pytest.mark.parametrize(
    ("query", "size"), [({"scale": "1.5"}, (144, 96)), ({"height": "100"}, (150, 100)), ({"width": "192"}, (192, 128))]
)
def test_a_size_may_be_asked_for_as_of_pictures(
    client: httpx2.Client, tmp_path: Path, query: dict[str, str], size: tuple[int, int]
) -> None:
    frames = grey(3)
    asked = {"codec": "ffv1", "scale": ""} | query
    answer = client.post(
        "/jobs",
        params={"model": "nearest"} | {name: value for name, value in asked.items() if value},
        content=exact(frames, ".mkv", tmp_path).read_bytes(),
    )
    job = finished(client, answer)
    assert (job["result"]["width"], job["result"]["height"]) == size
    (tmp_path / "result.mkv").write_bytes(client.get(job["links"]["result"]).content)
    for frame, picture in zip(frames, read_pictures(tmp_path / "result.mkv"), strict=True):
        enlarged = oracles.nearest(frame, 2)
        assert np.array_equal(rgb(picture), reduced_colour(enlarged, height=size[1], width=size[0]))


def test_every_frame_may_be_the_mean_of_eight_orientations(client: httpx2.Client, tmp_path: Path) -> None:
    frames = grey(2)
    video = exact(frames, ".mkv", tmp_path)
    result, job = upscaled(client, video, tmp_path, model="oriented", codec="ffv1", ensemble="true")
    assert job["parameters"]["ensemble"] is True
    for frame, picture in zip(frames, read_pictures(result), strict=True):
        still = client.post("/upscale?model=oriented&scale=2&ensemble=true", content=as_file(frame))
        assert np.array_equal(rgb(picture), as_pixels(still.content))
    problem(hand_in(client, video.read_bytes(), model="clip", ensemble="true"), 422, "ensemble-unsupported")


def test_odd_sides_are_written_with_finer_chroma(client: httpx2.Client, tmp_path: Path) -> None:
    video = exact([frame[:63, :95] for frame in grey(3)], ".mkv", tmp_path)
    result, job = upscaled(client, video, tmp_path, codec="h264")
    assert (job["result"]["width"], job["result"]["height"], job["result"]["pixel_format"]) == (190, 126, "yuv444p")
    assert len(read_pictures(result)) == 3


# --- everything else


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_times_sound_chapters_and_tags_are_what_they_were(client: httpx2.Client, tmp_path: Path, suffix: str) -> None:
    """A variable frame rate, and sound that begins before the first picture (AAC's priming)."""
    webm = suffix == ".webm"
    sample = Sample(
        moving(60),
        [at * 41 + (at % 3) * 7 for at in range(60)] if suffix in (".mkv", ".webm") else uneven(60),
        time_base=Fraction(1, 1000) if suffix in (".mkv", ".webm") else Fraction(1, 15360),
        codec="libvpx-vp9" if webm else "libx264",
        options={"deadline": "realtime", "cpu-used": "8"} if webm else {},
        audio=True,
        chapters=not webm,
        metadata={"title": "Ein Titel"},
    )
    video = write(tmp_path / f"whole{suffix}", sample)
    result, job = upscaled(client, video, tmp_path, codec="av1" if webm else "h264")
    assert result.suffix == suffix
    assert times(read_pictures(result)) == times(read_pictures(video))
    assert packets(result, "audio") == packets(video, "audio")
    assert length_of(result) == pytest.approx(length_of(video), abs=0.002)
    assert job["result"]["not_copied"] == []
    assert about(result) == about(video)


def about(path: Path) -> tuple[object, ...]:
    """Chapters, title, and languages."""
    with av.open(str(path)) as container:
        chapters = [
            (chapter["start"] * (chapter["time_base"] or 0), chapter["end"] * (chapter["time_base"] or 0), title)
            for chapter in container.chapters()
            for title in [chapter["metadata"].get("title")]
        ]
        languages = [stream.metadata.get("language") for stream in container.streams.audio]
        return (*chapters, container.metadata.get("title"), *languages)


def length_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return float(container.duration or 0) / 1_000_000


def test_attachments_and_a_second_video_stream_are_copied(client: httpx2.Client, tmp_path: Path) -> None:
    video = write(tmp_path / "rich.mkv", Sample(moving(5), EVEN[:5], audio=True, attachment=True))
    result, job = upscaled(client, video, tmp_path)
    with av.open(str(result)) as container:
        kinds = [stream.type for stream in container.streams]
        assert sorted(kinds) == ["attachment", "audio", "video"]
        (attachment,) = [stream for stream in container.streams if stream.type == "attachment"]
        assert attachment.data == b"not really a font"  # type: ignore[attr-defined]  # the type of such streams
    assert job["result"]["copied"] == ["audio: aac", "attachment"]


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "ass"), (".mp4", "mov_text")])
def test_subtitles_are_copied(client: httpx2.Client, tmp_path: Path, suffix: str, codec: str) -> None:
    video = write(tmp_path / f"told{suffix}", Sample(moving(12), EVEN[:12], subtitles=codec))
    result, job = upscaled(client, video, tmp_path)
    assert job["result"]["copied"] == [f"subtitle: {codec}"]
    assert packets(result, "subtitle") == packets(video, "subtitle") != []


def test_a_container_that_cannot_hold_a_stream_says_what_is_left_out(client: httpx2.Client, tmp_path: Path) -> None:
    video = write(tmp_path / "rich.mkv", Sample(moving(5), EVEN[:5], audio=True, attachment=True))
    _, job = upscaled(client, video, tmp_path, container="mp4")
    assert job["result"]["copied"] == ["audio: aac"]
    assert job["result"]["not_copied"] == ["attachment"]


# --- killed, interrupted, damaged


def kill(server: LiveServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def segments(server: LiveServer, job_path: str) -> list[Path]:
    folder = server.log.with_suffix(".jobs") / job_path.rpartition("/")[2]
    return sorted(folder.glob("segment-*.seg"))


LONG = 360  # frames, 15 segments: long enough to be killed in between on any machine


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sample = Sample(moving(LONG), uneven(LONG), audio=True, chapters=True)
    return write(tmp_path_factory.mktemp("long") / "long.mp4", sample)


def test_a_job_killed_twice_goes_on_and_ends_with_the_same_file(
    store: Path, server: LiveServer, long_video: Path, tmp_path: Path
) -> None:
    """One finished segment was changed meanwhile, and one is gone; what is whole is not made again."""
    with server.client() as client:
        undisturbed, _ = upscaled(client, long_video, tmp_path, model="slow")
    jobs = tmp_path / "jobs"
    with running(store, tmp_path / "first", max_tile=24, jobs=jobs) as first, first.client() as client:
        path = hand_in(client, long_video.read_bytes(), model="slow").headers["location"]
        job_id = path.rpartition("/")[2]
        done = killed_with_segments(first, jobs, job_id, 3)
    content = bytearray(done[0].read_bytes())
    content[len(content) // 2] ^= 1
    done[0].write_bytes(content)
    changed, kept = done[0].stat().st_mtime_ns, stamps_of(done[1:])
    with running(store, tmp_path / "second", max_tile=24, jobs=jobs) as second:
        assert eventually(lambda: done[0].stat().st_mtime_ns != changed, timeout_s=120)
        again = killed_with_segments(second, jobs, job_id, len(done) + 2)
        assert stamps_of(done[1:]) == kept
    again[1].unlink()
    del again[1]
    kept = stamps_of(again)
    with running(store, tmp_path / "third", max_tile=24, jobs=jobs) as third, third.client() as client:
        assert eventually(done[1].exists, timeout_s=120)
        assert stamps_of(again) == kept
        assert eventually(lambda: document(client.get(path))["state"] == "succeeded", timeout_s=120)
        assert client.get(f"{path}/result").content == undisturbed.read_bytes()


def killed_with_segments(server: LiveServer, jobs: Path, job_id: str, count: int) -> list[Path]:
    """Kills it when so many segments are noted; their files. Not all of them: there is no result."""

    def noted() -> list[Path]:
        with closing(JobStore(jobs / "jobs.sqlite3")) as database:
            return [jobs / job_id / segment.file for segment in database.segments(job_id)]

    assert eventually(lambda: len(noted()) >= count, timeout_s=120)
    kill(server)
    assert len(noted()) < LONG // 24, "the video was too short for this test"
    return noted()


def stamps_of(paths: list[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


def children_of(server: LiveServer) -> list[psutil.Process]:
    return video_children(psutil.Process(server.process.pid))


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_processes_die_with_the_service_and_with_the_job(store: Path, long_video: Path, tmp_path: Path) -> None:
    with running(store, tmp_path / "server", max_tile=24) as server, server.client() as client:
        path = hand_in(client, long_video.read_bytes(), model="slow").headers["location"]
        assert eventually(lambda: len(children_of(server)) == 2)
        children = children_of(server)
        began = time.monotonic()
        assert document(client.delete(path))["state"] == "canceled"
        assert time.monotonic() - began < 1
        assert eventually(lambda: gone(children), timeout_s=5)
        assert eventually(lambda: segments(server, path) == [])
        hand_in(client, long_video.read_bytes(), model="slow")
        assert eventually(lambda: len(children_of(server)) == 2)
        children = children_of(server)
        kill(server)
        assert eventually(lambda: gone(children), timeout_s=10)


def _mount(folder: Path, mebibytes: int) -> bool:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    return mounted.returncode == 0


def test_a_job_waits_for_a_full_disk_and_ends_with_the_same_file(
    store: Path, server: LiveServer, tmp_path: Path
) -> None:
    """The disk is full when the job begins, but for what the database needs; the first segment has no room."""
    video = exact(grey(30, width=384, height=256), ".mkv", tmp_path)
    query = {"model": "slow", "codec": "ffv1"}
    with server.client() as client:
        undisturbed, _ = upscaled(client, video, tmp_path, **query)
    disk = tmp_path / "disk"
    if not _mount(disk, 80):
        pytest.skip("a small disk of its own needs the right to mount one")
    try:
        with (
            running(store, tmp_path / "server", max_tile=32, jobs=disk / "jobs", job_workers=1) as small,
            small.client() as client,
        ):
            before = hand_in(client, as_file(np.zeros((2000, 2000, 3), np.uint8)), model="slow").headers["location"]
            path = hand_in(client, video.read_bytes(), **query).headers["location"]
            assert document(client.get(path))["state"] == "queued"
            _fill(disk / "junk", leave=500_000)
            client.delete(before)
            assert eventually(lambda: document(client.get(path))["waiting_for"] == "disk space", timeout_s=120)
            (disk / "junk").unlink()
            assert eventually(lambda: document(client.get(path))["state"] == "succeeded", timeout_s=120)
            assert client.get(f"{path}/result").content == undisturbed.read_bytes()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(path: Path, *, leave: int) -> None:
    size = shutil.disk_usage(path.parent).free - leave
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


# --- refused


def _clip(folder: Path, suffix: str = ".mp4", **options: Any) -> bytes:  # noqa: ANN401
    return write(folder / f"clip{suffix}", Sample(moving(10), EVEN[:10], **options)).read_bytes()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"crf": "52"}, "bad-parameter"),
        ({"codec": "h266"}, "bad-parameter"),
        ({"codec": "ffv1", "container": "mp4"}, "bad-parameter"),
        ({"format": "png"}, "bad-parameter"),
        ({"quality": "90"}, "bad-parameter"),
        ({"scale": "7"}, "unsupported-scale"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_at_once(
    client: httpx2.Client, tmp_path: Path, query: dict[str, str], code: str
) -> None:
    problem(hand_in(client, _clip(tmp_path), **query), 422, code)


def test_a_pictures_job_takes_no_video_parameters(client: httpx2.Client) -> None:
    refused = problem(hand_in(client, as_file(pixels(5, 5)), codec="h265"), 422, "bad-parameter")
    assert refused["parameter"] == "codec"


@pytest.mark.parametrize(
    ("settings", "code", "limit"),
    [
        ({"max_video_frames": 9}, "video-too-long", 9),
        ({"max_video_s": 0.1}, "video-too-long", 0.1),
        ({"max_input_pixels": 96 * 64 - 1}, "too-many-pixels", None),
        ({"max_input_pixels": 96 * 64, "max_output_pixels": 96 * 64}, "output-too-large", 96 * 64),
    ],
)
def test_limits_are_told_with_their_values(
    launch: Launch, store: Path, tmp_path: Path, settings: dict[str, object], code: str, limit: float | None
) -> None:
    server = launch(store=store, **settings)
    with server.client() as client:
        refused = problem(hand_in(client, _clip(tmp_path)), 422, code)
        assert refused.get("limit") == limit


def test_a_video_whose_pictures_change_their_size_fails_clearly(client: httpx2.Client, tmp_path: Path) -> None:
    motion = {"time_base": Fraction(1, 1000), "codec": "mjpeg", "pixel_format": "yuvj420p", "colour": FULL_RANGE}
    first = write(tmp_path / "a.mkv", Sample(moving(5), [at * 40 for at in range(5)], **motion))  # type: ignore[arg-type]
    other = Sample(moving(5, width=64), [200 + at * 40 for at in range(5)], **motion)  # type: ignore[arg-type]
    second = write(tmp_path / "b.mkv", other)
    joined = tmp_path / "joined.mkv"
    with av.open(str(joined), "w") as target:
        stream: Any = None
        for path in (first, second):
            with av.open(str(path)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0], opaque=True)
                for packet in source.demux(source.streams.video[0]):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
    job = finished(client, hand_in(client, joined.read_bytes()))
    assert job["state"] == "failed"
    assert job["problem"]["code"] == "undecodable-video"
    assert "from 96x64 to 64x64 at 0.200 s" in job["problem"]["detail"]


def test_damaged_videos_are_refused_or_done_and_never_our_fault(client: httpx2.Client, tmp_path: Path) -> None:
    chance = random.Random(7)
    sources = [_clip(tmp_path, ".mp4", audio=True), _clip(tmp_path, ".mkv", codec="ffv1")]

    def damaged(content: bytes) -> bytes:
        changed = bytearray(content)
        if chance.random() < 0.3:
            return bytes(changed[: chance.randrange(64, len(changed))])
        for _ in range(chance.choice((1, 4, 40))):
            changed[chance.randrange(32, len(changed))] = chance.randrange(256)
        return bytes(changed)

    codes = []
    for number in range(12):
        answer = hand_in(client, damaged(sources[number % 2]))
        if answer.status_code != 202:
            codes.append(answer.json()["code"])
            assert answer.status_code in (415, 422), answer.text
            continue
        job = finished(client, answer)
        codes.append(job["state"] if job["problem"] is None else job["problem"]["code"])
    allowed = {"undecodable-video", "unsupported-video", "unsupported-media", "too-many-pixels", "video-too-long"}
    assert set(codes) <= allowed | {"succeeded", "output-too-large"}, codes
    assert "succeeded" in codes
    assert "undecodable-video" in codes


def test_cuts_of_the_file_in_the_middle_lose_only_what_is_gone(client: httpx2.Client, tmp_path: Path) -> None:
    sample = Sample(moving(90), [at * 33 for at in range(90)], time_base=Fraction(1, 1000), options={"g": "10"})
    whole = write(tmp_path / "whole.mkv", sample).read_bytes()
    job = finished(client, hand_in(client, whole[: len(whole) * 2 // 3]))
    assert job["state"] == "succeeded"
    assert 30 < job["result"]["frames"] < 90


def test_a_service_without_pyav_says_what_it_lacks(
    launch: Launch, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys, importlib.machinery as machinery\n"
        "class WithoutPyAV(machinery.PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'av' else super().find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(machinery.PathFinder)] = WithoutPyAV\n"
    )
    content = _clip(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{hidden}")
    server = launch(store=store)
    with server.client() as client:
        assert "extra `video`" in problem(hand_in(client, content), 415, "unsupported-media")["detail"]
        assert hand_in(client, as_file(pixels(5, 5))).status_code == 202
