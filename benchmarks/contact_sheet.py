"""`python -m benchmarks.contact_sheet PICTURE... -o sheet.png`: LR, bicubic, served models and HR in a row, labelled.

One row a picture, `astronaut`, `chelsea` and `coffee` being scikit-image's freely redistributable photographs. The HR
picture is shrunk by MATLAB's bicubic, sent through HTTP, and the same crop of each result is shown.
"""

import argparse
import sys
from pathlib import Path

import httpx2
import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from benchmarks.quality import over_http
from benchmarks.serving import service
from training.metrics import compare
from training.resize import crop_to_multiple, downscale, resize

Pixels = npt.NDArray[np.uint8]
FREE_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
LABEL_HEIGHT = 18
GAP = 4


def load(name: str) -> Pixels:
    """uint8 RGB [H, W, 3] of a file, or of one of scikit-image's photographs."""
    if name in FREE_PHOTOGRAPHS:
        return np.asarray(getattr(skimage.data, name)())
    with Image.open(Path(name)) as image:
        return np.asarray(image.convert("RGB"))


def columns(client: httpx2.Client, hr: Pixels, *, models: list[str], scale: int) -> list[tuple[str, Pixels]]:
    """(label, picture of the size of `hr`) from left to right. PSNR is on Y, borders cropped, as in the papers."""
    lr = downscale(hr, scale)
    pictures = [
        (f"LR x{scale}, nearest", lr.repeat(scale, axis=0).repeat(scale, axis=1)),
        ("bicubic", resize(lr, *hr.shape[:2])),
    ]
    pictures += [(model, over_http(client, model, scale)(lr)) for model in models]
    labelled = [
        (f"{name}  {compare(sr, hr, scale)[0]:.2f} dB" if i else name, sr) for i, (name, sr) in enumerate(pictures)
    ]
    return [*labelled, ("HR", hr)]


def sheet(rows: list[list[tuple[str, Pixels]]], crops: list[tuple[int, int, int, int]], zoom: int) -> Image.Image:
    """The rows below each other; `crops` are (top, left, height, width) in HR pixels, one per row."""
    heights = [LABEL_HEIGHT + crop[2] * zoom + GAP for crop in crops]
    width = max(len(row) * (crop[3] * zoom + GAP) for row, crop in zip(rows, crops, strict=True))
    canvas = Image.new("RGB", (width - GAP, sum(heights) - GAP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=12)
    y = 0
    for row, (top, left, height, crop_width), row_height in zip(rows, crops, heights, strict=True):
        for index, (label, picture) in enumerate(row):
            x = index * (crop_width * zoom + GAP)
            part = Image.fromarray(np.ascontiguousarray(picture[top : top + height, left : left + crop_width]))
            part = part.resize((crop_width * zoom, height * zoom), Image.Resampling.NEAREST)
            draw.text((x, y + 1), label, fill="black", font=font)
            canvas.paste(part, (x, y + LABEL_HEIGHT))
        y += row_height
    return canvas


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """`top,left,height,width` in HR pixels."""
    top, left, height, width = map(int, text.split(","))
    return top, left, height, width


def main() -> int:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contact_sheet", description=__doc__)
    parser.add_argument("pictures", nargs="+", help=f"files, or {', '.join(FREE_PHOTOGRAPHS)}")
    parser.add_argument("--crop", action="append", type=parse_crop, help="top,left,height,width; one per picture")
    parser.add_argument("--model", action="append", dest="models", help="repeatable; default edsr")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--zoom", type=int, default=1)
    parser.add_argument("--url", help="a running service; without it one is started")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    photographs = [crop_to_multiple(load(name), arguments.scale) for name in arguments.pictures]
    crops = arguments.crop or [(0, 0, *picture.shape[:2]) for picture in photographs]
    with service(arguments.url) as client:
        rows = [
            columns(client, picture, models=arguments.models or ["edsr"], scale=arguments.scale)
            for picture in photographs
        ]
    sheet(rows, crops, arguments.zoom).save(arguments.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
