"""srserve upscale: files and folders of pictures, some at a time, and again only those that are not done."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, cast

import typer

from srserve_client.calls import Compression, Format, Metadata, Tiling, UpscaleOptions
from srserve_client.cli import exits
from srserve_client.cli.completion import complete_model, complete_scale
from srserve_client.cli.connection import TIMEOUT_S, ApiKey, AsJson, BaseUrl, Connection, Timeout
from srserve_client.cli.plan import FORMATS, SUFFIXES, Record, Step, plan
from srserve_client.cli.report import Report
from srserve_client.files import write_whole

STANDARD = Path("-")  # standard input or output

Inputs = Annotated[list[Path], typer.Argument(help="Pictures, or folders of them; - is standard input.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the results, or the one result's file; - is standard output.")
]
ModelName = Annotated[
    str, typer.Option("--model", "-m", autocompletion=complete_model, help="One of those that `srserve models` lists.")
]
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale", "-s", min=1, autocompletion=complete_scale, help="How many times as large; 2.5 as well as 2 or 4."
    ),
]
Width = Annotated[int | None, typer.Option(min=1, help="Of the results, in pixels, in place of --scale.")]
Height = Annotated[int | None, typer.Option(min=1, help="Of the results; with --width alone proportions are kept.")]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Better, in 8 times the time: the mean over 8 orientations.")
]
TheFormat = Annotated[
    Format | None, typer.Option("--format", "-f", help="Of the results; else the output's suffix says it, else png.")
]
Quality = Annotated[int | None, typer.Option(min=1, max=100, help="Of jpeg, webp and avif; 100 is the best.")]
TheCompression = Annotated[
    Compression | None, typer.Option("--compression", help="Of png: small takes time for fewer bytes.")
]
TheTiling = Annotated[Tiling | None, typer.Option("--tiling", help="exact: no value differs from the untiled answer.")]
TheMetadata = Annotated[Metadata | None, typer.Option("--metadata", help="strip: without EXIF and XMP.")]
Concurrency = Annotated[
    int, typer.Option("--concurrency", "-j", min=1, max=64, help="Pictures on their way at a time.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Make anew what is there already.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


def upscale(
    inputs: Inputs,
    output: Output,
    model: ModelName,
    scale: Scale = None,
    width: Width = None,
    height: Height = None,
    format: TheFormat = None,
    quality: Quality = None,
    compression: TheCompression = None,
    tiling: TheTiling = None,
    ensemble: Ensemble = False,
    metadata: TheMetadata = None,
    concurrency: Concurrency = 4,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Upscale pictures: srserve upscale *.jpg -o large/ --model edsr --scale 4

    Results are written whole or not at all. Started again after a stop, it goes on: what is there, made from the same
    picture with the same parameters, is skipped; other files of these names are left alone, unless --overwrite is
    given. The exit status is 0 when all is done, 1 when some pictures failed, 2 for wrong use, 3 when the service does
    not answer, 130 after Ctrl-C.
    """
    chosen = format or cast("Format | None", FORMATS.get(output.suffix.lower()))
    options: UpscaleOptions = {
        "model": model,
        "scale": scale,
        "width": width,
        "height": height,
        "format": chosen,
        "quality": quality,
        "compression": compression,
        "tiling": tiling,
        "ensemble": ensemble or None,
        "metadata": metadata,
    }
    with exits.ending(base_url):
        connection = Connection(base_url, api_key, timeout)
        if STANDARD in inputs or output == STANDARD:
            asyncio.run(_filter(connection, inputs, output, options))
            return
        to_folder = output.is_dir() or len(inputs) > 1 or inputs[0].is_dir() or output.suffix.lower() not in FORMATS
        steps = plan(inputs, output, suffix=SUFFIXES[chosen or "png"], to_folder=to_folder)
        record = Record(output, options) if to_folder else None
        with Report(total=len(steps), as_json=as_json, quiet=quiet, address=connection.address) as report:
            todo = _left_to_do(steps, record, report, overwrite=overwrite)
            asyncio.run(_work(connection, todo, options, record, report, concurrency=concurrency))
    raise typer.Exit(report.status)


async def _filter(connection: Connection, inputs: list[Path], output: Path, options: UpscaleOptions) -> None:
    """One picture from a file or standard input to a file or standard output, as a filter of the shell."""
    if len(inputs) > 1:
        raise ValueError("- stands for one picture: give no other")
    picture = sys.stdin.buffer.read() if inputs[0] == STANDARD else inputs[0].read_bytes()
    async with connection.client() as client:
        result = await client.upscale(picture, **options)
    if output == STANDARD:
        sys.stdout.buffer.write(result.content)
        sys.stdout.buffer.flush()
    else:
        result.save(output)


def _left_to_do(steps: list[Step], record: Record | None, report: Report, *, overwrite: bool) -> list[Step]:
    todo = []
    for step in steps:
        if overwrite or not step.target.exists():
            todo.append(step)
        elif record is not None and record.is_done(step):
            report.skipped(step)
        else:
            report.failed(
                step, ValueError(f"{step.target} is there already, made otherwise: --overwrite makes it anew")
            )
    return todo


async def _work(
    connection: Connection,
    todo: list[Step],
    options: UpscaleOptions,
    record: Record | None,
    report: Report,
    *,
    concurrency: int,
) -> None:
    """Upscale and write; ends early with an error that every other picture would meet."""
    report.begin(sum(step.source_bytes for step in todo))
    sources = [step.source for step in todo]
    async with (
        connection.client() as client,
        aclosing(client.upscale_batch(sources, concurrency=concurrency, **options)) as items,
    ):
        async for item in items:
            step = todo[item.index]
            if item.error is not None:
                report.failed(step, item.error)
                if exits.concerns_all(item.error):
                    return
            else:
                result = item.unwrap()
                await asyncio.to_thread(write_whole, step.target, result.content)
                if record is not None:
                    record.add(step)
                report.done(step, result)
