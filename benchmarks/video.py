"""`python -m benchmarks.video`: frames per second of video jobs over those of the bare session, and memory over length.

A video of 480x270 becomes one of 1920x1080 (x4), as a job: uploaded, decoded, enlarged, encoded as H.264, joined. The
bare session runs the same frames' windows, with as many threads, in the same run, in turns with the jobs; of each the
best of the rounds counts, for the machine may be noisy. Peak memory is that of the service and its processes together.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import httpx2
import numpy as np
import numpy.typing as npt
import onnxruntime
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from skimage.data import astronaut

from benchmarks.serving import REPOSITORY, service
from service.manifest import Manifest, read_manifest
from service.processors import usable_cores

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 480, 270
SAMPLE_S = 0.1
MIB = 2**20


class Speed(NamedTuple):
    """Seconds for all frames, best of the rounds: of the bare session, and of the job from its start to its end."""

    model: str
    scale: int
    frames: int
    bare_s: float
    job_s: float

    @property
    def ratio(self) -> float:
        """The job's frames per second over the bare session's."""
        return self.bare_s / self.job_s


def panning(count: int) -> Iterator[Pixels]:
    """Frames uint8 [HEIGHT, WIDTH, 3] of a slow pan to and fro over scikit-image's astronaut, mirrored to fill them."""
    picture = np.pad(astronaut(), ((0, 0), (0, 512), (0, 0)), mode="symmetric")
    travel = picture.shape[1] - WIDTH
    for number in range(count):
        left = travel - abs(travel - 2 * number % (2 * travel))
        yield np.ascontiguousarray(picture[100 : 100 + HEIGHT, left : left + WIDTH])


def write_clip(path: Path, frames: Iterator[Pixels], *, rate: int = 25) -> Path:
    """An mp4 of these frames; returns `path`."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def bare_seconds(session: Any, frames: list[Pixels], manifest: Manifest) -> float:  # noqa: ANN401 - untyped
    """Seconds of the session over all windows, one after the other."""
    window = manifest.frame_window if manifest.input == "frames" else 0
    began = time.perf_counter()
    for number, frame in enumerate(frames):
        places = np.clip(np.arange(number - window // 2, number + window // 2 + 1), 0, len(frames) - 1)
        lr = np.stack([frames[place] for place in places])[None] if window else frame[None]
        session.run(None, {"lr": lr})
    return time.perf_counter() - began


def job_seconds(client: httpx2.Client, content: bytes, **query: Any) -> float:  # noqa: ANN401 - parameters
    """Seconds from the start of the job to its end.

    Raises:
        RuntimeError: the job is refused, or fails.
    """
    answer = client.post("/jobs", params=query, content=content)
    if answer.status_code != 202:
        raise RuntimeError(answer.text)
    path = answer.headers["location"]
    while (job := client.get(path).json())["state"] in ("queued", "running"):
        time.sleep(0.2)
    if job["state"] != "succeeded":
        raise RuntimeError(f"the job has {job['state']}: {job['problem']}")
    client.delete(path)
    began, ended = (np.datetime64(job[name].rstrip("Z")) for name in ("started_at", "finished_at"))
    return float((ended - began) / np.timedelta64(1, "s"))


def measure(client: httpx2.Client, clip: Path, model: str, scale: int, arguments: argparse.Namespace) -> Speed:
    """Rounds of one bare run and one job each."""
    path = arguments.store / model / f"x{scale}.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(path, options, providers=arguments.providers)
    with av.open(str(clip)) as container:
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    manifest = read_manifest(path)
    bare_seconds(session, frames[:2], manifest)  # warm-up
    bare, jobs = [], []
    for _ in range(arguments.rounds):
        bare.append(bare_seconds(session, frames, manifest))
        jobs.append(job_seconds(client, clip.read_bytes(), model=model, scale=scale, codec=arguments.codec))
    return Speed(model, scale, len(frames), min(bare), min(jobs))


@contextmanager
def peak_memory(process: "psutil.Process") -> Iterator[list[int]]:
    """The block's list gets one number at its end: the most bytes that the process and its children had at once."""
    halt = threading.Event()
    peak = [0]

    def watch() -> None:
        while not halt.wait(SAMPLE_S):
            peak[0] = max(peak[0], resident_bytes(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        halt.set()
        watcher.join()


def resident_bytes(process: "psutil.Process") -> int:
    """Of the process and its children, as far as they are still there."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def memory_rows(client: httpx2.Client, folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """A line for each length."""
    process = next(child for child in psutil.Process().children() if "service" in child.cmdline())
    model, scale = arguments.models[0]
    for count in arguments.lengths:
        clip = write_clip(folder / f"{count}.mp4", panning(count))
        with peak_memory(process) as peak:
            job_seconds(client, clip.read_bytes(), model=model, scale=scale)
        yield f"| {count} | {peak[0] / MIB:.0f} |"


def _model(text: str) -> tuple[str, int]:
    name, _, scale = text.partition(":")
    return name, int(scale)


def main() -> int:
    """Prints the tables; returns 1 if a model is below `--limit`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video", description=__doc__)
    parser.add_argument(
        "--model", action="append", dest="models", type=_model, help="NAME:SCALE, repeatable; vespcn:4 and edsr-small:4"
    )
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--clip", type=Path, help="a video of 480x270 instead of the one that is made")
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--providers", nargs="+", default=["CPUExecutionProvider"])
    parser.add_argument("--store", type=Path, default=REPOSITORY / "store")
    parser.add_argument("--lengths", type=int, nargs="*", default=[50, 200, 800], help="frames, to measure memory")
    parser.add_argument("--limit", type=float, default=None, help="fail below this ratio")
    arguments = parser.parse_args()
    arguments.models = arguments.models or [("vespcn", 4), ("edsr-small", 4)]
    worst = float("inf")
    settings = {"threads": str(arguments.threads), "store": str(arguments.store)}
    with tempfile.TemporaryDirectory() as folder, service(**settings) as client:
        clip = arguments.clip or write_clip(Path(folder) / "clip.mp4", islice(panning(arguments.frames), None))
        print("| model | frames | bare session fps | job fps | ratio |")
        print("|---|---|---|---|---|")
        for model, scale in arguments.models:
            row = measure(client, clip, model, scale, arguments)
            worst = min(worst, row.ratio)
            bare, job = row.frames / row.bare_s, row.frames / row.job_s
            print(
                f"| {row.model} x{row.scale} | {row.frames} | {bare:.2f} | {job:.2f} | {row.ratio:.3f} |",
                flush=True,
            )
        print("\n| frames | peak memory of all processes, MiB |")
        print("|---|---|")
        for line in memory_rows(client, Path(folder), arguments):
            print(line, flush=True)
    return int(arguments.limit is not None and worst < arguments.limit)


if __name__ == "__main__":
    sys.exit(main())
