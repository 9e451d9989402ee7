"""`python -m benchmarks.quality FOLDER...`: PSNR and SSIM of served models, through HTTP, with bicubic beside them.

Protocol of the papers: HR cropped to a multiple of the scale, LR by MATLAB's bicubic, the answer compared on Y with
`scale` pixels cropped at each border. A grey image is sent and compared as grey. With `--video`, clips: see clips.py.
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.serving import service
from training.metrics import compare
from training.resize import crop_to_multiple, downscale, resize

Pixels = npt.NDArray[np.uint8]
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


class Row(NamedTuple):
    """One line of the table: means over the images of a folder. PSNR in dB."""

    folder: str
    method: str
    scale: int
    images: int
    psnr: float
    ssim: float


def measure(folder: Path, scale: int, enlarge: Callable[[Pixels], Pixels]) -> tuple[int, float, float]:
    """Number of images, mean PSNR and mean SSIM of `enlarge` (LR to SR, uint8) on the HR images of a folder.

    Raises:
        FileNotFoundError: there is no image in the folder.
    """
    scores = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        with Image.open(path) as image:
            hr = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        hr = crop_to_multiple(hr, scale)
        scores.append(compare(enlarge(downscale(hr, scale)), hr, border=scale))
    if not scores:
        raise FileNotFoundError(f"no images in {folder}")
    psnr, ssim = np.mean(scores, axis=0).tolist()
    return len(scores), psnr, ssim


def over_http(client: httpx2.Client, model: str, scale: int, **query: str) -> Callable[[Pixels], Pixels]:
    """`POST /upscale` as a function of pixels.

    The function raises httpx2.HTTPStatusError with the problem's text when the service refuses.
    """

    def enlarge(lr: Pixels) -> Pixels:
        body = io.BytesIO()
        Image.fromarray(lr).save(body, "PNG")
        answer = client.post("/upscale", params={"model": model, "scale": scale, **query}, content=body.getvalue())
        if answer.is_error:
            raise httpx2.HTTPStatusError(answer.text, request=answer.request, response=answer)
        with Image.open(io.BytesIO(answer.content)) as image:
            return np.asarray(image)

    return enlarge


def served_scales(client: httpx2.Client, wanted: list[str] | None) -> list[tuple[str, int]]:
    """(model, scale) of everything that enlarges pictures of any size, or of the wanted models.

    Raises:
        ValueError: a wanted model is not served, or is none of those.
    """
    served: dict[str, list[int]] = {
        entry["name"]: entry["scales"]
        for entry in client.get("/models").raise_for_status().json()
        if all(graph["direction"] == "up" and graph["fixed_size"] is None for graph in entry["graphs"])
    }
    if unknown := set(wanted or ()) - set(served):
        raise ValueError(f"cannot be measured: {', '.join(sorted(unknown))}; can: {', '.join(sorted(served))}")
    return [(name, scale) for name in sorted(wanted or served) for scale in sorted(served[name])]


def run(
    client: httpx2.Client,
    folders: list[Path],
    *,
    models: list[str] | None,
    scales: list[int] | None,
    ensemble: bool = False,
) -> list[Row]:
    """All rows: for each folder and scale bicubic first, then every model that has the scale.

    With `ensemble` each model's mean of eight orientations as well, under its name with a "+" as in Lim et al. 2017.
    """
    pairs = [(model, scale) for model, scale in served_scales(client, models) if not scales or scale in scales]
    rows = []
    for folder in folders:
        name = folder.parent.name if folder.name == "HR" else folder.name
        for scale in sorted({scale for _, scale in pairs}):

            def bicubic(lr: Pixels, scale: int = scale) -> Pixels:
                return resize(lr, lr.shape[0] * scale, lr.shape[1] * scale)

            rows.append(Row(name, "bicubic", scale, *measure(folder, scale, bicubic)))
            for model, own in pairs:
                if own == scale:
                    rows.append(Row(name, model, scale, *measure(folder, scale, over_http(client, model, scale))))
                    if ensemble:
                        mean = over_http(client, model, scale, ensemble="true")
                        rows.append(Row(name, f"{model}+", scale, *measure(folder, scale, mean)))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| set | images | scale | method | PSNR-Y dB | SSIM-Y |", "|---|---|---|---|---|---|"]
    lines += [f"| {r.folder} | {r.images} | x{r.scale} | {r.method} | {r.psnr:.2f} | {r.ssim:.4f} |" for r in rows]
    return "\n".join(lines)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of HR images, such as .../Set5/HR")
    parser.add_argument("--url", help="a running service; without it one is started")
    parser.add_argument("--model", action="append", dest="models", help="only this model (repeatable)")
    parser.add_argument("--scale", action="append", dest="scales", type=int, help="only this scale (repeatable)")
    parser.add_argument("--ensemble", action="store_true", help="also with ensemble=true; only models that have it")
    parser.add_argument("--video", action="store_true", help="the folders hold clips: files, or folders of frames")
    parser.add_argument("--frames", type=int, help="of each clip only the first so many")
    arguments = parser.parse_args()
    with service(arguments.url) as client:
        if arguments.video:
            return _print_clips(client, arguments)
        rows = run(
            client,
            arguments.folders,
            models=arguments.models,
            scales=arguments.scales,
            ensemble=arguments.ensemble,
        )
        print(table(rows))
    return 0


def _print_clips(client: httpx2.Client, arguments: argparse.Namespace) -> int:
    from benchmarks import clips

    pairs = [pair for pair in served_scales(client, arguments.models) if pair[1] in (arguments.scales or [pair[1]])]
    print(clips.HEAD)
    for folder in arguments.folders:
        for row in clips.run(client, folder, pairs, most=arguments.frames):
            print(clips.line(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
