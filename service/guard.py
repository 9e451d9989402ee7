"""Guard: lets in who has a key, to what the key allows, as much as it allows. Off unless the operator has chosen keys.

A pure ASGI middleware inside the envelope, so that its refusals are problems in the log like all others, and before the
body is read. What a key is allowed by model is read off the parameter `model`, which is so called on every path.
"""

import time
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ModelNotAllowed, Unauthenticated
from service.keys import Key, KeyRing
from service.problems import shorten
from service.telemetry import RequestRecord

# What shows nothing that is not in the documentation. Whatever is not here needs a key.
OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"})
OPEN_PREFIXES = ("/problems", "/web")


class Guard:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        record: RequestRecord = scope["state"]["record"]
        key = self._keys.authenticate(_bearer(scope))
        record.facts["key"] = key.id
        record.queue_class = key.grants.queue_class
        _check_model(key, scope)
        quota = self._keys.quota(key)
        quota.begin(key.grants, now=time.monotonic())
        try:
            await self._app(scope, receive, _private(send))
        finally:
            pixels = record.facts.get("input_pixels", 0) if record.charged_pixels is None else record.charged_pixels
            quota.end(key.grants, pixels=pixels if isinstance(pixels, int) else 0, now=time.monotonic())


def is_open(path: str) -> bool:
    """Whether the path needs no key."""
    return path in OPEN_PATHS or any(path == prefix or path.startswith(prefix + "/") for prefix in OPEN_PREFIXES)


def _bearer(scope: Scope) -> str:
    """The key of the Authorization header. Raises Unauthenticated where there is none."""
    kind, _, text = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthenticated("A key is needed: Authorization: Bearer srk_...", headers={"WWW-Authenticate": "Bearer"})
    return text.strip()


def _check_model(key: Key, scope: Scope) -> None:
    """Raises ModelNotAllowed, for each model named: one that is named twice is refused later."""
    allowed = key.grants.models
    if allowed is None:
        return
    for model in parse_qs(scope["query_string"].decode("latin-1")).get("model", []):
        if model not in allowed:
            raise ModelNotAllowed(
                f"The key may not use the model {shorten(model)!r}. It may use {', '.join(allowed) or 'none'}.",
                members={"available": list(allowed)},
            )


def _private(send: Send) -> Send:
    """Answers are for the key's holder: nothing between may keep one for another."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers.setdefault("Cache-Control", "private")
            headers.add_vary_header("Authorization")
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending
