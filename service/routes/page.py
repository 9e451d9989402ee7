"""The page for people: the files of service/web, sent as they are, under a policy that lets them load nothing else."""

import functools
import hashlib
import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from service.errors import NotFound
from service.problems import shorten

router = APIRouter()

FOLDER = Path(__file__).resolve().parent.parent / "web"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Pictures are shown from memory (blob:), and nothing is asked of anybody but this service.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept, X-Forwarded-Prefix",
}
PREFIX_HEADER = "X-Forwarded-Prefix"  # what a gateway has taken off the path; Traefik sends it by itself
_SANE_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,64}){1,16}/?")


@dataclass(frozen=True)
class Asset:
    """A file that the page loads."""

    content: bytes
    media_type: str
    etag: str


def is_wanted(accept: str | None) -> bool:
    """Whether the Accept header of a request for / is a browser's: it prefers HTML to JSON, and names it."""
    qualities = {"text/html": 0.0, "application/json": 0.0}
    for entry in (accept or "").split(","):
        media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media_type in qualities:
            quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
            qualities[media_type] = float(quality) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", quality) else 0.0
    return qualities["text/html"] > qualities["application/json"]


def page_response(request: Request) -> Response:
    """The page. Its links are relative; behind a path prefix that the gateway names they are relative to that."""
    prefix = request.headers.get(PREFIX_HEADER, "")
    content = _page()
    if _SANE_PREFIX.fullmatch(prefix):
        base = f'<base href="{html.escape(prefix.rstrip("/"))}/">'
        content = content.replace("<head>", f"<head>\n  {base}", 1)
    return Response(content, media_type="text/html", headers=PAGE_HEADERS)


@router.get("/web/{name}", include_in_schema=False)
async def get_asset(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """A file that the page loads; asked for anew each time, and sent when it has changed."""
    asset = _assets().get(name)
    if asset is None:
        raise NotFound(f"There is nothing at /web/{shorten(name)}; see /docs.")
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
    if if_none_match == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@functools.cache
def _page() -> str:
    return (FOLDER / "index.html").read_text(encoding="utf-8")


@functools.cache
def _assets() -> dict[str, Asset]:
    files = {path.name: path for path in (FOLDER / "assets").iterdir() if path.suffix in MEDIA_TYPES}
    return {name: _asset(path) for name, path in files.items()}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
