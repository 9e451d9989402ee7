"""Pictures that hold something else than a picture: bombs in their metadata, references, names, header lines."""

import io
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmarks.bad_requests import inflating, png
from service.codecs.header import read_header
from tests.conftest import LiveServer
from tests.service.pictures import as_file, as_pixels, pixels

PATH = "/upscale?model=nearest&scale=2"
MIB = 1 << 20


# --- bombs in metadata


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """About 1 MB each, hundreds of MiB when inflated."""
    large, small = inflating(512 * MIB), inflating(MIB)
    return {
        "ICC profile": png([(b"iCCP", b"bomb\x00\x00" + large)]),
        "XMP": png([(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + large)]),
        "text": png([(b"zTXt", b"Comment\x00\x00" + large)]),
        "rows": png([], rows=bytes(64 * MIB)),
        "a thousand texts": png([(b"zTXt", b"Comment\x00\x00" + small)] * 1000),
    }


@pytest.mark.parametrize("name", ["ICC profile", "XMP", "text", "rows", "a thousand texts"])
def test_a_bomb_beside_the_pixels_costs_no_memory_and_no_fault(
    live_server: LiveServer, client: httpx2.Client, bombs: dict[str, bytes], name: str
) -> None:
    before = live_server.peak_bytes()
    answer = client.post(PATH, content=bombs[name])
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert len(answer.content) < 2 * MIB
    assert live_server.peak_bytes() - before < 128 * MIB


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF"])
def test_a_header_that_promises_too_much_is_refused_in_every_format(client: httpx2.Client, form: str) -> None:
    answer = client.post(PATH, content=_promising(form, 30_000, 30_000))
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in ("too-many-pixels", "undecodable-image", "unsupported-pixels")


def _promising(form: str, width: int, height: int) -> bytes:
    """A small file whose header states that size: the numbers of a real one, replaced."""
    side = 1234
    content = as_file(np.zeros((side, side, 3), np.uint8), form)
    before = read_header(content)
    assert (before.width, before.height) == (side, side)
    if form == "WEBP":  # lossy: 14 bits each
        return content.replace(struct.pack("<HH", side, side), struct.pack("<HH", 16383, 16383), 1)
    for pattern, size in (
        (struct.pack(">II", side, side), struct.pack(">II", width, height)),  # PNG, AVIF
        (struct.pack(">HH", side, side), struct.pack(">HH", width, height)),  # JPEG
        (struct.pack("<ii", side, side), struct.pack("<ii", width, height)),  # BMP
    ):
        if pattern in content:
            return content.replace(pattern, size)
    for tag in (256, 257):  # TIFF: two entries of a directory
        for kind, code in (("<H", 3), ("<L", 4)):
            entry = struct.pack("<HHL", tag, code, 1) + struct.pack(kind, side).ljust(4, b"\x00")
            content = content.replace(entry, struct.pack("<HHLL", tag, 4, 1, width))
    return content


# --- references


@pytest.fixture
def bait() -> Iterator[list[bytes]]:
    """A port of this machine to which every reference points; what came to it."""
    came: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            came.append(b"connected")
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    BAIT["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
    yield came
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


BAIT: dict[str, str] = {}


def _with_text(url: str) -> bytes:
    file, info = io.BytesIO(), PngInfo()
    info.add_text("Source", url)
    info.add_itxt("XML:com.adobe.xmp", f'<x:xmpmeta xmlns:x="{url}"><!DOCTYPE a SYSTEM "{url}"></x:xmpmeta>')
    Image.fromarray(pixels(4, 4)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def test_no_reference_is_ever_followed(live_server: LiveServer, client: httpx2.Client, bait: list[bytes]) -> None:
    url = BAIT["url"]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'.encode()
    form = {"url": (None, url), "file": ("x.png", url.encode())}
    requests: list[dict[str, Any]] = [
        {"url": f"{PATH}&url={url}", "content": as_file(pixels(4, 4))},
        {"url": PATH, "content": url.encode(), "headers": {"Content-Type": "text/uri-list"}},
        {"url": PATH, "json": {"url": url}},
        {"url": PATH, "content": svg, "headers": {"Content-Type": "image/svg+xml"}},
        {"url": PATH, "content": b"<!DOCTYPE a [<!ENTITY x SYSTEM '" + url.encode() + b"'>]><a>&x;</a>"},
        {"url": PATH, "files": form},
        {"url": PATH, "content": _with_text(url)},
        {"url": f"/jobs?model=nearest&scale=2&webhook={url}", "content": as_file(pixels(4, 4))},
        {
            "url": PATH,
            "content": as_file(pixels(4, 4)),
            "headers": {"X-Forwarded-Host": url, "Referer": url, "Host": "x"},
        },
    ]
    statuses = [client.post(**request).status_code for request in requests]
    assert all(status < 500 for status in statuses)
    assert statuses.count(200) == 2  # that with the references in its text, and that with them in its headers
    outside = [one for one in psutil.Process(live_server.process.pid).net_connections() if one.status == "SYN_SENT"]
    assert outside == []
    assert bait == []


# --- names


@pytest.mark.parametrize(
    "name", ["../../../../tmp/owned.png", "/etc/passwd", "C:\\owned.png", "a\x00b.png", "é;filename=.."]
)
def test_a_files_name_is_nothing_to_the_service(live_server: LiveServer, client: httpx2.Client, name: str) -> None:
    lr = pixels(4, 4)
    answer = client.post(PATH, files={"file": (name, as_file(lr), "image/png")})
    assert answer.status_code == 200
    assert as_pixels(answer.content).shape == (8, 8, 3)
    job = client.post("/jobs?model=nearest&scale=2", files={"file": (name, as_file(lr), "image/png")})
    assert job.status_code == 202
    shown = str(answer.headers) + str(job.headers) + job.text
    assert "owned" not in shown
    assert "passwd" not in shown
    assert not Path("/tmp/owned.png").exists()


# --- header lines


INJECTION = "x\r\nSet-Cookie: owned=1\r\n\r\n<script>"


def test_no_header_comes_out_of_what_a_picture_or_a_parameter_says(client: httpx2.Client) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0131], exif[0x8298] = INJECTION, INJECTION, INJECTION
    file = io.BytesIO()
    Image.fromarray(pixels(4, 4)).save(file, "JPEG", exif=exif, comment=INJECTION.encode())
    answers = [
        client.post(PATH, content=file.getvalue()),
        client.post("/upscale", params={"model": INJECTION, "scale": "2"}, content=b"x"),
        client.post("/upscale", params={"model": "nearest", "scale": INJECTION}, content=b"x"),
        client.post(PATH, params={INJECTION: "1"}, content=b"x"),
        client.post(PATH + "&format=" + "png%0d%0aSet-Cookie:%20owned=1", content=file.getvalue()),
        client.get("/models/x%0d%0aSet-Cookie:%20owned=1"),
        client.get("/problems/x%0d%0aSet-Cookie:%20owned=1"),
        client.get("/x%0d%0aSet-Cookie:%20owned=1"),
    ]
    for answer in answers:
        assert answer.status_code < 500
        assert "set-cookie" not in answer.headers
        assert not any("owned" in value for value in answer.headers.values())
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.status_code >= 400:
            assert json.loads(answer.text)["status"] == answer.status_code


# --- garbage where metadata should be


@pytest.mark.parametrize("seed", range(20))
def test_random_metadata_never_spoils_a_picture(client: httpx2.Client, seed: int) -> None:
    rng = np.random.default_rng(seed)
    junk = rng.integers(0, 256, int(rng.integers(1, 5000)), np.uint8).tobytes()
    chunks = [
        (b"eXIf", junk),
        (b"iCCP", b"junk\x00\x00" + (zlib.compress(junk) if seed % 2 else junk)),
        (b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + junk),
        (b"gAMA", junk[:4].ljust(4, b"\x00")),
        (b"cHRM", junk[:32].ljust(32, b"\x00")),
    ]
    rng.shuffle(chunks)
    answer = client.post(PATH, content=png([(bytes(kind), bytes(data)) for kind, data in chunks]))
    assert answer.status_code == 200, answer.text
    assert not as_pixels(answer.content).any()  # black, as it was
