"""Children are bounded and never outlive their use: what they may do, and what becomes of those that misbehave."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from service.errors import (
    InternalError,
    OutputTooLarge,
    ServiceError,
    TooManyPixels,
    UndecodableVideo,
    UnsupportedMedia,
    UnsupportedVideo,
)
from service.video import wire
from service.video.process import Child, ChildLimits, Command, ask
from service.video.records import Plan
from tests.conftest import eventually
from tests.service.video.children import video_children
from tests.service.video.examples import plan_of, probe_orders
from tests.service.video.samples import Sample, moving, write

LIMITS = ChildLimits(memory_bytes=2 << 30, file_bytes=1 << 30, patience_s=30.0)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = moving(60)
    return write(tmp_path_factory.mktemp("video") / "video.mp4", Sample(frames, [512 * at for at in range(60)]))


@pytest.fixture(scope="module")
def plan(video: Path) -> Plan:
    return plan_of(video)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 90))


def error(command: Command, orders: dict[str, Any], limits: ChildLimits = LIMITS) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        asyncio.run(ask(command, orders, limits))
    return caught.value


def decoding(video: Path, plan: Plan) -> dict[str, Any]:
    return {"path": str(video), "plan": plan.to_json(), "skip": 0, "detect": False}


async def first_error(child: Child) -> ServiceError:
    """What receiving frames ends with."""
    try:
        while True:
            await child.receive_frame(np.empty((64, 96, 3), np.uint8))
    except ServiceError as error:
        return error


def test_a_child_ends_with_its_block_whatever_it_is_doing(video: Path, plan: Plan) -> None:
    async def scenario() -> None:
        async with await Child.start("decode", decoding(video, plan), LIMITS) as child:
            process = psutil.Process(child._process.pid)
            assert process.is_running()  # and blocked, for nobody takes its frames
        assert not process.is_running()

    run(scenario)


def test_a_child_whose_parent_gives_up_the_pipe_ends_by_itself(video: Path, plan: Plan) -> None:
    async def scenario() -> None:
        async with await Child.start("decode", decoding(video, plan), LIMITS) as child:
            child._to.close()
            assert await asyncio.to_thread(child._process.wait, 20) == 3

    run(scenario)


def test_a_child_sees_nothing_of_the_services_environment(
    video: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "do not tell")

    def check(pid: int) -> None:
        assert not {"SECRET_KEY", "HOME", "SR_JOBS"} & set(psutil.Process(pid).environ())
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert f"Max address space         {2 << 30}" in limits
        assert f"Max file size             {1 << 30}" in limits
        found = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        expected = ("pipe:", "/dev/null", str(video))
        assert not [name for name in found if not name.startswith(expected) and not name.endswith("(deleted)")]

    async def scenario() -> None:
        async with await Child.start("decode", decoding(video, plan), LIMITS) as child:
            await child.receive_frame(np.empty((64, 96, 3), np.uint8))
            await asyncio.to_thread(check, child._process.pid)

    run(scenario)


def test_a_decoder_that_is_killed_is_the_files_fault_and_an_encoder_ours(video: Path, plan: Plan) -> None:
    async def scenario() -> None:
        async with await Child.start("decode", decoding(video, plan), LIMITS) as child:
            await child.receive_frame(np.empty((64, 96, 3), np.uint8))
            child._process.send_signal(signal.SIGKILL)
            found = await first_error(child)
            assert type(found) is UndecodableVideo
            assert "SIGKILL" in found.detail
        async with await Child.start("encode", {"plan": plan.to_json()}, LIMITS) as child:
            child._process.send_signal(signal.SIGKILL)
            assert type(await first_error(child)) is InternalError

    run(scenario)


def test_a_child_that_says_nothing_is_ended(video: Path, plan: Plan) -> None:
    async def scenario() -> None:
        impatient = ChildLimits(LIMITS.memory_bytes, LIMITS.file_bytes, patience_s=3.0)
        async with await Child.start("encode", {"plan": plan.to_json()}, impatient) as child:
            with pytest.raises(InternalError):
                await child.receive()  # it waits for frames itself
            assert await asyncio.to_thread(child._process.wait, 20) == -signal.SIGKILL

    run(scenario)


def test_a_file_that_needs_more_memory_than_there_is_may_not_be_decoded(tmp_path: Path) -> None:
    large = [np.zeros((2160, 3840, 3), np.uint8)] * 2
    video = write(tmp_path / "large.mkv", Sample(large, [0, 512], codec="ffv1"))
    little = ChildLimits(memory_bytes=64 << 20, file_bytes=1 << 20)
    assert type(error("probe", probe_orders(video), little)) is UndecodableVideo


def test_a_result_that_is_larger_than_files_may_be_is_told_as_such(video: Path, tmp_path: Path) -> None:
    plan = plan_of(video, codec="ffv1")

    async def scenario() -> None:
        small = ChildLimits(LIMITS.memory_bytes, file_bytes=20_000)
        noise = np.random.default_rng(0).integers(0, 256, (plan.height, plan.width, 3), dtype=np.uint8)
        async with await Child.start("encode", {"plan": plan.to_json()}, small) as child:
            await child.send_document(wire.BEGIN, {"path": str(tmp_path / "a.seg")})
            await child.send(wire.FRAME, wire.FRAME_HEAD.pack(0, 512, False), noise.data.cast("B"))
            await child.send(wire.DONE)
            with pytest.raises(OutputTooLarge):
                await child.receive()

    run(scenario)


def test_frames_above_the_limit_are_not_decoded(video: Path) -> None:
    assert type(error("probe", probe_orders(video, max_pixels=96 * 64 - 1))) is TooManyPixels


@pytest.mark.parametrize(
    ("content", "container"),
    [
        (b"#EXTM3U\nhttp://127.0.0.1:1/a.ts\n", "mp4"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "mkv"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(1000), "mp4"),
        (b"\x1aE\xdf\xa3" + bytes(1000), "mkv"),
        (b"", "mp4"),
    ],
)
def test_a_file_is_read_as_what_it_begins_like_and_as_nothing_else(
    tmp_path: Path, content: bytes, container: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert type(error("probe", probe_orders(path, container=container))) is UndecodableVideo


def test_a_codec_that_is_not_read_is_named(tmp_path: Path) -> None:
    frames = moving(3)
    video = write(tmp_path / "a.mov", Sample(frames, [0, 512, 1024], codec="qtrle", pixel_format="rgb24"))
    found = error("probe", probe_orders(video))
    assert type(found) is UnsupportedMedia
    assert "qtrle" in found.detail


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    frames = moving(40)
    both = write(tmp_path / "both.mkv", Sample(frames, [512 * at for at in range(40)], audio=True))
    import av

    sound = tmp_path / "sound.mkv"
    with av.open(str(both)) as source, av.open(str(sound), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert type(error("probe", probe_orders(sound))) is UndecodableVideo


def test_interlaced_pictures_are_told_apart(tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    frames = moving(3)
    video = write(tmp_path / "a.mkv", Sample(frames, [0, 512, 1024], options=options))
    assert asyncio.run(ask("probe", probe_orders(video), LIMITS))["facts"]["interlaced"] is True


def test_a_container_that_cannot_hold_the_pictures_says_so(video: Path) -> None:
    orders = {"path": str(video), "plan": plan_of(video, container="webm").to_json(), "segments": [], "target": ""}
    found = error("mux", orders)
    assert type(found) is UnsupportedVideo
    assert "webm" in found.detail


def test_no_process_is_left_behind() -> None:
    assert eventually(lambda: not video_children(psutil.Process()))
