"""Completion: names that only the service knows, asked of it while the user types; a slow service offers none."""

import os

import typer

from srserve_client.errors import SrserveError
from srserve_client.results import Model
from srserve_client.sync.client import Client

PATIENCE_S = 1.0


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """The models that are served."""
    return [model.name for model in _models(context) if model.name.startswith(incomplete)]


def complete_scale(context: typer.Context, incomplete: str) -> list[str]:
    """The scales of the chosen model, or of all."""
    chosen = context.params.get("model")
    scales = {scale for model in _models(context) if chosen in (None, model.name) for scale in model.scales}
    return [str(scale) for scale in sorted(scales) if str(scale).startswith(incomplete)]


def _models(context: typer.Context) -> list[Model]:
    base_url = context.params.get("base_url") or os.environ.get("SR_BASE_URL")
    try:
        with Client(base_url, api_key=context.params.get("api_key"), timeout=PATIENCE_S, retries=0) as client:
            return client.models()
    except (SrserveError, ValueError):
        return []
