"""srserve video: a job, from the upload to the file, with its progress; Ctrl-C cancels it."""

import asyncio
import hashlib
import uuid
from pathlib import Path
from typing import Annotated, cast

import typer

from srserve_client.aio.client import AsyncClient
from srserve_client.calls import Codec, Container, JobOptions, SceneDetection
from srserve_client.cli import exits
from srserve_client.cli.connection import TIMEOUT_S, ApiKey, AsJson, BaseUrl, Connection, Timeout
from srserve_client.cli.progress import Bar, print_json
from srserve_client.cli.upscale import Ensemble, Height, ModelName, Overwrite, Quiet, Scale, TheTiling, Width
from srserve_client.job import Job

CANCEL_PATIENCE_S = 10.0
CONTAINERS = {".mp4": "mp4", ".mkv": "mkv", ".webm": "webm", ".mov": "mov"}

Source = Annotated[Path, typer.Argument(help="The video.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The result's file; its suffix chooses the container.")]
TheCodec = Annotated[Codec | None, typer.Option("--codec", help="h264 by default; ffv1 is lossless.")]
Crf = Annotated[int | None, typer.Option(min=0, max=63, help="Constant rate factor: lower is better, and larger.")]
Scenes = Annotated[
    SceneDetection | None, typer.Option("--scene-detection", help="off: networks of frames look across cuts.")
]


def video(
    source: Source,
    output: Output,
    model: ModelName,
    scale: Scale = None,
    width: Width = None,
    height: Height = None,
    codec: TheCodec = None,
    crf: Crf = None,
    tiling: TheTiling = None,
    ensemble: Ensemble = False,
    scene_detection: Scenes = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Upscale a video: srserve video in.mp4 -o out.mp4 --model vespcn --scale 2

    It is handed in as a job, which the service keeps over its own restarts. Started again after the connection or this
    machine broke down, the same command goes on with the same job. Ctrl-C cancels it. --json writes the job's state, a
    line a change.
    """
    options: JobOptions = {
        "model": model,
        "scale": scale,
        "width": width,
        "height": height,
        "tiling": tiling,
        "ensemble": ensemble or None,
        "codec": codec,
        "crf": crf,
        "container": cast("Container | None", CONTAINERS.get(output.suffix.lower())),
        "scene_detection": scene_detection,
    }
    with exits.ending(base_url):
        connection = Connection(base_url, api_key, timeout)
        if output.exists() and not overwrite:
            raise ValueError(f"{output} is there already: --overwrite makes it anew")
        asyncio.run(_run(connection, source, output, options, as_json=as_json, quiet=quiet))


async def _run(
    connection: Connection, source: Path, output: Path, options: JobOptions, *, as_json: bool, quiet: bool
) -> None:
    async with connection.client() as client:
        with Bar(source.name, count=None, quiet=quiet) as bar:
            job = await _created(client, source, options, bar)
            try:
                done = await client.jobs.wait(job, on_progress=lambda state: _show(state, bar, as_json=as_json))
            except asyncio.CancelledError:  # Ctrl-C
                await asyncio.wait_for(client.jobs.cancel(job), CANCEL_PATIENCE_S)
                exits.console.print(f"job {job.id} canceled", markup=False)
                raise
            bar.say(f"done; fetching {output}")
            await client.jobs.download(done, output, on_progress=lambda there, total: bar.at(there, total, "bytes"))
    exits.console.print(str(output), markup=False)


async def _created(client: AsyncClient, source: Path, options: JobOptions, bar: Bar) -> Job:
    """The job of an earlier start of the same command, if it is not over; else a new one."""
    bar.say(f"sending {source}")
    key = _key(source, options)
    job = await client.jobs.create(source, idempotency_key=key, **options)
    if job.is_finished and job.state != "succeeded":
        job = await client.jobs.create(source, idempotency_key=f"{key}-{uuid.uuid4().hex}", **options)
    bar.say(f"job {job.id}")
    return job


def _key(source: Path, options: JobOptions) -> str:
    """The same for the same file, as it is now, and the same parameters."""
    stat = source.stat()
    facts = (str(source.resolve()), stat.st_size, stat.st_mtime_ns, sorted(options.items()))
    return f"srserve-video-{hashlib.sha256(repr(facts).encode()).hexdigest()}"


def _show(job: Job, bar: Bar, *, as_json: bool) -> None:
    if as_json:
        print_json(job.raw)
    bar.at(job.progress.done, job.progress.total, job.progress.unit, left_s=job.progress.eta_s)
