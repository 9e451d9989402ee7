"""Good requests, one function a kind: what clients that mean well send, each way into the service among them.

Each returns the status of the answer: 200 when all went well, else the first one that was another.
"""

import io
import random
import time
from collections.abc import Callable

import httpx2
import numpy as np
from PIL import Image

from benchmarks.bad_requests import Target, picture

SIZES = ((16, 16), (40, 30), (64, 64), (96, 48))
FORMATS = ("PNG", "JPEG", "WEBP")
FRAMES = 3
JOB_TIMEOUT_S = 120.0


def _upscale(client: httpx2.Client, target: Target, rng: random.Random) -> int:
    return client.post(target.path, content=_picture(rng)).status_code


def _other_model(client: httpx2.Client, target: Target, rng: random.Random) -> int:
    """Any scale of any model that is served, and an answer in another format."""
    served = client.get("/models")
    if served.status_code != 200:
        return served.status_code
    pairs = [
        (model["name"], scale)
        for model in served.json()
        if model["endpoint"] == "/upscale"
        for scale in model["scales"]
    ]
    model, scale = rng.choice(sorted(pairs))
    query = {"model": model, "scale": scale, "format": rng.choice(("png", "jpeg", "webp"))}
    return client.post("/upscale", params=query, content=_picture(rng)).status_code


def _known_already(client: httpx2.Client, target: Target, rng: random.Random) -> int:
    content = _picture(rng)
    first = client.post(target.path, content=content)
    if first.status_code != 200:
        return first.status_code
    again = client.post(target.path, content=content, headers={"If-None-Match": first.headers["etag"]})
    return 200 if again.status_code == 304 else again.status_code


def _clip(client: httpx2.Client, target: Target, rng: random.Random) -> int:
    frames = [("frame", (f"{index}.png", picture(32, 24, seed=rng.randrange(1000)))) for index in range(FRAMES)]
    answer = client.post(target.path.replace("/upscale", "/upscale/frames", 1), files=frames)
    if answer.status_code == 200 and answer.content.count(b"\x89PNG\r\n\x1a\n") != FRAMES:
        return 500  # a frame was lost
    return answer.status_code


def _job(client: httpx2.Client, target: Target, rng: random.Random) -> int:
    """Handed in, asked for until it is done, fetched, and removed."""
    job = client.post(target.path.replace("/upscale", "/jobs", 1), content=_picture(rng))
    if job.status_code != 202:
        return job.status_code
    path = job.headers["location"]
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while client.get(path).json()["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            return 504
        time.sleep(0.5)
    result = client.get(f"{path}/result")
    removed = client.delete(path)
    return result.status_code if removed.status_code < 300 else removed.status_code


GOOD_REQUESTS: dict[str, Callable[[httpx2.Client, Target, random.Random], int]] = {
    "picture": _upscale,
    "another model": _other_model,
    "known already": _known_already,
    "clip": _clip,
    "job": _job,
}
WEIGHTS = {"picture": 6, "another model": 2, "known already": 1, "clip": 1, "job": 1}


def _picture(rng: random.Random) -> bytes:
    height, width = rng.choice(SIZES)
    file = io.BytesIO()
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, rng.choice(FORMATS))
    return file.getvalue()
