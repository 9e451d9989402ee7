"""Connection: the options that every command has which asks the service, and the client that they make."""

from dataclasses import dataclass
from typing import Annotated

import typer

from srserve_client.aio.client import AsyncClient
from srserve_client.calls import base_url_of
from srserve_client.retries import RetryPolicy

BaseUrl = Annotated[
    str | None, typer.Option("--base-url", envvar="SR_BASE_URL", help="Address of the service, a path prefix included.")
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="SR_API_KEY", help="Key, where the service wants one; better in the variable."),
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that one call may take, retries included.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]

TIMEOUT_S = 300.0
PATIENT = RetryPolicy(max_retries=8, longest_pause_s=30.0)  # people wait for a batch, and a full service empties


@dataclass(frozen=True)
class Connection:
    """How the service is reached. Raises ValueError for a base URL that is none."""

    base_url: str | None
    api_key: str | None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        base_url_of(self.base_url)

    @property
    def address(self) -> str:
        """The service's address, for messages."""
        return str(base_url_of(self.base_url))

    def client(self) -> AsyncClient:
        """A client; the caller closes it."""
        return AsyncClient(self.base_url, api_key=self.api_key, timeout=self.timeout_s, retries=PATIENT)
