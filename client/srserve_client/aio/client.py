"""AsyncClient: the service's calls as methods."""

import copy
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self, Unpack

import httpx2

from srserve_client.aio import io
from srserve_client.aio.exchange import Exchange
from srserve_client.aio.jobs import AsyncJobs
from srserve_client.answers import Answer, parsed, parsed_list
from srserve_client.batches import BatchItem
from srserve_client.calls import (
    ESTIMATE_BYTES,
    Call,
    ClientOptions,
    Compression,
    Format,
    FramesOptions,
    Metadata,
    Tiling,
    UpscaleOptions,
    authorization,
    base_url_of,
    degrade_call,
    estimate_call,
    frames_params,
    model_call,
    models_call,
    upscale_call,
)
from srserve_client.deadlines import Deadline
from srserve_client.errors import SrserveError
from srserve_client.frames import AsyncFrames, ClipOrder
from srserve_client.pictures import Picture, picture_bytes
from srserve_client.results import Estimate, Model, Result
from srserve_client.retries import DEFAULT_POLICY, RetryBudget, RetryPolicy, policy_of
from srserve_client.version import USER_AGENT

TIMEOUT_S = 70.0  # the service's own deadline is 60 s and a gateway's 65 s: the nearest to the work gives up first


class AsyncClient:
    """A client of one service. It keeps connections: use it as a context manager, or close it.

    `base_url` is the service's address, a path prefix included; without it SR_BASE_URL, then http://127.0.0.1:8000.
    `api_key` goes with every call; without it SR_API_KEY. `timeout` is the seconds that a call may take, retries and
    pauses included; None: for ever. `retries` and `budget` say which failures are sent again, and how often.
    `transport` replaces the network: `FakeService().transport` in tests, httpx2.AsyncHTTPTransport(proxy=...) or
    (verify=...) elsewhere. Raises ValueError for a base URL that is none.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = TIMEOUT_S,
        retries: RetryPolicy | int = DEFAULT_POLICY,
        budget: RetryBudget | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._timeout_s = timeout
        self._has_transport = transport is not None
        self._exchange = Exchange(
            http=httpx2.AsyncClient(base_url=base_url_of(base_url), transport=transport),
            policy=policy_of(retries),
            budget=budget or RetryBudget(),
            headers={"User-Agent": USER_AGENT, **authorization(api_key), **(headers or {})},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, those of clients made by `with_options` too, for they are the same."""
        await self._exchange.http.aclose()

    @property
    def base_url(self) -> str:
        """The service's address."""
        return str(self._exchange.http.base_url)

    async def upscale(
        self,
        picture: Picture,
        *,
        model: str,
        scale: float | None = None,
        width: int | None = None,
        height: int | None = None,
        format: Format | None = None,
        quality: int | None = None,
        compression: Compression | None = None,
        tiling: Tiling | None = None,
        ensemble: bool | None = None,
        metadata: Metadata | None = None,
        if_none_match: str | None = None,
        timeout: float | None = None,
    ) -> Result:
        """The picture, larger.

        `picture` is bytes, a path, an open file, a PIL image or an array (see `picture_bytes`). `scale` is how many
        times as large: one of the model's scales, or any number from 1 to the largest; `width` or `height` in pixels,
        or both, stand in its place. `format` is the answer's (png by default), `quality` 1 to 100 its loss;
        `compression` "small" takes time for a smaller png. `tiling` "exact" takes longer, and not one value differs
        from the untiled answer. `ensemble` is the mean of the answers to the picture's 8 orientations: better, in 8
        times the time. `metadata` "strip" drops EXIF and XMP.

        Raises ProblemError's classes for what the service refuses, NotModified when the answer would have the ETag
        `if_none_match`, ConnectionFailed, DeadlineExpired, UnexpectedAnswer; and what `picture_bytes` raises.
        """
        options: UpscaleOptions = {
            "model": model,
            "scale": scale,
            "width": width,
            "height": height,
            "format": format,
            "quality": quality,
            "compression": compression,
            "tiling": tiling,
            "ensemble": ensemble,
            "metadata": metadata,
        }
        content = await io.in_thread(picture_bytes, picture)
        return Result.of(await self._fetch(upscale_call(content, options, if_none_match=if_none_match), timeout))

    async def upscale_batch(
        self,
        pictures: Iterable[Picture],
        *,
        concurrency: int = 4,
        timeout: float | None = None,
        **options: Unpack[UpscaleOptions],
    ) -> AsyncGenerator[BatchItem]:
        """Each picture's result or error, as they come: `index` says which one it is.

        At most `concurrency` pictures are held and on their way at a time, and `pictures` is read no further ahead than
        that. `timeout` is for each. What fails is in its item, and ends nothing.
        """
        async with io.Tasks[BatchItem](concurrency) as tasks:
            for index, picture in enumerate(pictures):
                tasks.start(self._batch_item, index, picture, timeout, options)
                if len(tasks) == tasks.limit:
                    yield await tasks.next()
            while len(tasks):
                yield await tasks.next()

    def upscale_frames(
        self,
        frames: Iterable[Picture] | AsyncIterable[Picture],
        *,
        look_ahead: int = 32,
        timeout: float | None = None,
        **options: Unpack[FramesOptions],
    ) -> AsyncFrames:
        """The frames of a clip, larger, in order and as they come: the first long before the last was given.

        `frames` gives pictures of one size, in any form that `upscale` takes; it is read as the answer comes, at most
        `look_ahead` frames ahead of it, so a clip may have any length. A model of frames sees their neighbours, across
        no cut (`scene_detection` "off": across cuts, too). A frame that cannot be made is a FailedFrame in its place.
        `timeout` is how long nothing may come of the clip.

        The result is an iterator, to be run to its end or used as a context manager; see AsyncFrames. It connects by
        itself, past proxies; through a `transport` given to this client, which sends before it reads, the whole clip
        is sent first.
        """
        http = self._exchange.http
        order = ClipOrder(
            url=http.build_request("POST", "/upscale/frames", params=frames_params(options)).url,
            headers=dict(self._exchange.headers),
            policy=self._exchange.policy,
            budget=self._exchange.budget,
            look_ahead=look_ahead,
            timeout_s=self._timeout(timeout),
        )
        return AsyncFrames(frames, order, through=http if self._has_transport else None)

    async def estimate(
        self, picture: "Picture | tuple[int, int]", *, timeout: float | None = None, **options: Unpack[UpscaleOptions]
    ) -> Estimate:
        """What `upscale` (or `degrade`) would take for a picture, or for one of that (width, height); nothing is done.

        `accepted` and `problem` say whether the service would take it now. Raises what is wrong with the parameters or
        with the beginning of the file, and what every call raises.
        """
        given = (
            picture if isinstance(picture, tuple) else await io.in_thread(picture_bytes, picture, most=ESTIMATE_BYTES)
        )
        return parsed(await self._fetch(estimate_call(given, options), timeout), Estimate.of)

    async def degrade(
        self,
        picture: Picture,
        *,
        model: str,
        scale: int | None = None,
        seed: int | None = None,
        format: Format | None = None,
        quality: int | None = None,
        compression: Compression | None = None,
        tiling: Tiling | None = None,
        metadata: Metadata | None = None,
        timeout: float | None = None,
    ) -> Result:
        """What a bad camera would have made of the picture: few pixels, noise and blur, learnt from real ones.

        `scale` is how many times smaller. The noise is drawn from `seed`; without one the service chooses, and
        `Result.seed` says which: with it the same picture comes again. The rest, and what is raised, as in `upscale`.
        """
        options = {
            "model": model,
            "scale": scale,
            "seed": seed,
            "format": format,
            "quality": quality,
            "compression": compression,
            "tiling": tiling,
            "metadata": metadata,
        }
        content = await io.in_thread(picture_bytes, picture)
        return Result.of(await self._fetch(degrade_call(content, options), timeout))

    async def models(self, *, timeout: float | None = None) -> list[Model]:
        """All models that are served."""
        return parsed_list(await self._fetch(models_call(), timeout), Model.of)

    async def model(self, name: str, *, timeout: float | None = None) -> Model:
        """One model. Raises UnknownModel, whose `members["available"]` lists those that are served."""
        return parsed(await self._fetch(model_call(name), timeout), Model.of)

    @property
    def jobs(self) -> AsyncJobs:
        """What takes too long to wait for: videos, and pictures too large."""
        return AsyncJobs(self._exchange, self._timeout_s)

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """A client over the same connections and budget that differs in what is given."""
        other = copy.copy(self)
        other._timeout_s = changes.get("timeout", self._timeout_s)
        other._exchange = replace(
            self._exchange,
            policy=policy_of(changes["retries"]) if "retries" in changes else self._exchange.policy,
            headers={**self._exchange.headers, **changes.get("headers", {})},
        )
        return other

    async def _batch_item(
        self, index: int, picture: Picture, timeout: float | None, options: UpscaleOptions
    ) -> BatchItem:
        try:
            return BatchItem(index, picture, result=await self.upscale(picture, timeout=timeout, **options))
        except (SrserveError, OSError, ValueError) as error:
            return BatchItem(index, picture, error=error)

    async def _fetch(self, call: Call, timeout_s: float | None) -> Answer:
        return await self._exchange.fetch(call, Deadline(self._timeout(timeout_s)))

    def _timeout(self, given: float | None) -> float | None:
        return self._timeout_s if given is None else given
