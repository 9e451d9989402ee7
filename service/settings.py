"""Settings: every number that an operator can turn, read once at start from `SR_...` variables or flags.

Names carry their units (`_bytes`, `_pixels`, `_s`). A variable that starts with SR_ and is no setting is refused with
the nearest right name, for a misspelt limit that is silently ignored is no limit.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

ENV_PREFIX = "SR_"
OF_THE_CLIENT = frozenset({"SR_BASE_URL", "SR_API_KEY"})  # srserve_client reads them; both may run in one environment
DEFAULT_STORE = Path(__file__).resolve().parent.parent / "store"
MIB = 2**20


class Settings(BaseSettings):
    """Super-resolution over HTTP. Each flag is a variable as well: --max-tile is SR_MAX_TILE; a flag wins."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,  # compose files pass on unset variables as empty ones
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_prog_name="python -m service",
    )

    # Where it listens
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="TCP port; 0 takes a free one")
    keep_alive_s: PositiveInt = Field(
        75, description="Seconds that an idle connection stays open; keep it above the gateway's own"
    )

    # Whom it lets in
    keys: Literal["off"] | Path | None = Field(
        None,
        description="File of API keys, or off: whoever reaches the port may ask. "
        "Has to be chosen where that is not this machine alone",
    )

    # What it runs
    store: Path = Field(DEFAULT_STORE, description="Folder of the model store")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is one")
    threads: NonNegativeInt = Field(
        0, description="Cores that inference may take on a CPU; 0 takes all that this process may use"
    )
    codec_threads: NonNegativeInt = Field(0, description="Threads that decode and encode; 0 takes all cores")
    max_tile: Annotated[int, Field(ge=16, le=4096)] = Field(
        512, description="Longest side of a tile as the network sees it, in pixels; a smaller image is one tile"
    )
    max_batch_pixels: NonNegativeInt = Field(
        0, description="LR pixels that share one forward pass; 0: one tile on a CPU, a million pixels on a GPU"
    )
    max_wait_s: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Seconds that a tile may wait for others to share its batch on an idle GPU"
    )

    # What it does later
    jobs: Path = Field(
        Path("jobs"), description="Folder of the jobs' database and files, on a local disk; replicas may share it"
    )
    job_workers: PositiveInt = Field(2, description="Jobs that run at once; the last of several takes no videos")
    job_keep_s: PositiveFloat = Field(24 * 3600.0, description="Seconds that a job's result is kept")

    # What it refuses
    max_body_bytes: PositiveInt = Field(32 * MIB, description="Bytes of one request body")
    max_input_pixels: PositiveInt = Field(32_000_000, description="Pixels of one image, before it is decoded")
    max_output_pixels: PositiveInt = Field(128_000_000, description="Pixels of one answer")
    max_side: PositiveInt = Field(16_384, description="Pixels along the longer side of one image")
    max_requests: PositiveInt = Field(64, description="Upscale requests in flight, uploads and answers included")
    max_memory_bytes: PositiveInt = Field(
        2048 * MIB, description="Bytes that all requests in flight may need at their predicted peaks"
    )
    kept_answer_bytes: NonNegativeInt = Field(
        0, description="Bytes of answers kept for whoever asks the same with the same key; beside the above. 0: none"
    )
    max_frames: PositiveInt = Field(100_000, description="Frames of one request to /upscale/frames")
    max_job_bytes: PositiveInt = Field(4096 * MIB, description="Bytes of the file of one job")
    max_video_frames: PositiveInt = Field(500_000, description="Frames of one video")
    max_video_s: PositiveFloat = Field(4 * 3600.0, description="Seconds of one video")
    max_video_memory_bytes: PositiveInt = Field(
        4096 * MIB, description="Bytes of address space of each process that reads or writes a video"
    )
    max_jobs: PositiveInt = Field(1000, description="Jobs that wait or run")
    max_jobs_bytes: PositiveInt = Field(
        32 * 1024 * MIB, description="Bytes of all jobs' files; the oldest results go when a new job needs the room"
    )
    max_queue_s: PositiveFloat = Field(
        10.0, description="Seconds that a request may be predicted to wait for others; above, it is refused"
    )
    max_head_bytes: PositiveInt = Field(64 * 1024, description="Bytes of a request line with its headers")

    # How long it waits
    head_timeout_s: PositiveFloat = Field(15.0, description="Seconds in which a request's headers must come")
    body_timeout_s: PositiveFloat = Field(30.0, description="Seconds in which a request's body must come")
    deadline_s: PositiveFloat = Field(
        60.0, description="Seconds from a request's head to its answer; callers may ask for less. Jobs have no deadline"
    )
    send_timeout_s: PositiveFloat = Field(
        60.0, description="Seconds after which a client that takes nothing of its answer is dropped"
    )
    drain_delay_s: NonNegativeFloat = Field(
        5.0, description="Seconds between SIGTERM and the last new connection, for the gateway to look away"
    )
    drain_timeout_s: PositiveInt = Field(60, description="Seconds that accepted requests get to finish after that")

    # What it tells its operators
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None, description="TCP port of Prometheus metrics; 0 takes a free one; none unless given"
    )
    metrics_host: str = Field("127.0.0.1", description="Address of that port; not one that clients can reach")
    tracing: bool = Field(False, description="Send OpenTelemetry spans to where OTEL_EXPORTER_OTLP_ENDPOINT says")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or for people")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic's own signature
        # pydantic-settings ignores variables that match no field, `extra="forbid"` or not.
        problems = misspelt(os.environ, known=cls.variables())
        if problems:
            raise ValueError("; ".join(problems))
        return values

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        if self.max_input_pixels > self.max_output_pixels:
            raise ValueError("max_output_pixels must be at least max_input_pixels")
        if self.max_body_bytes > self.max_memory_bytes:
            raise ValueError("max_memory_bytes must be at least max_body_bytes")
        return self

    @model_validator(mode="after")
    def _keys_are_chosen(self) -> Self:
        if self.keys is None and not is_loopback(self.host):
            raise ValueError(
                f"keys must be chosen to listen on {self.host}, which others can reach: a key file "
                "(make one with `python -m service.keys --file FILE make NAME`), or off"
            )
        return self

    @classmethod
    def variables(cls) -> list[str]:
        """The names of all environment variables that are read, upper case."""
        return [ENV_PREFIX + name.upper() for name in cls.model_fields]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def misspelt(names: Iterable[str], *, known: list[str]) -> list[str]:
    """One sentence for each of `names` that carries the prefix and is not `known`, with the nearest known name."""
    problems = []
    for name in sorted(names):
        if not name.upper().startswith(ENV_PREFIX) or name.upper() in {*known, *OF_THE_CLIENT}:
            continue
        nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7)
        hint = f"did you mean {nearest[0]}?" if nearest else "see `python -m service --help`"
        problems.append(f"{name} is no setting: {hint}")
    return problems


def load_settings(arguments: list[str]) -> Settings:
    """Settings from flags (`--max-tile 256`) over the environment.

    Raises ValidationError; exits with status 2 on an unknown flag and 0 after `--help`, as argparse does.
    """
    return CliApp.run(Settings, cli_args=arguments)


def explain(error: ValidationError) -> str:
    """The error in one line a setting, naming its variable as the operator wrote it."""
    lines = []
    for problem in error.errors():
        name = "".join(ENV_PREFIX + str(part).upper() for part in problem["loc"][:1])
        message = problem["msg"].removeprefix("Value error, ")
        value = f" (is {problem['input']!r:.60})" if name else ""
        lines.append(f"{name}: {message}{value}" if name else message)
    return "\n".join(lines)
