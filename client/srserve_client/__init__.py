"""Client of srserve, super-resolution over HTTP.

    from srserve_client import Client

    with Client("http://127.0.0.1:8000") as service:
        service.upscale("photo.jpg", model="edsr", scale=4).save("large.png")

`AsyncClient` has the same methods. `srserve_client.errors` draws the tree of errors, `srserve_client.problems` has a
class for each code of the service's, and `srserve_client.testing` a service for your own tests.
"""

from srserve_client.aio.client import AsyncClient
from srserve_client.batches import BatchItem
from srserve_client.clips import ClipSummary, FailedFrame, Frame
from srserve_client.errors import (
    ConnectionFailed,
    DeadlineExpired,
    NotModified,
    ProblemError,
    SrserveError,
    UnexpectedAnswer,
)
from srserve_client.job import Job, JobFile, Progress
from srserve_client.pictures import Picture
from srserve_client.results import Estimate, Graph, Model, Result
from srserve_client.retries import RetryBudget, RetryPolicy
from srserve_client.sync.client import Client
from srserve_client.version import __version__

__all__ = [
    "AsyncClient",
    "BatchItem",
    "Client",
    "ClipSummary",
    "ConnectionFailed",
    "DeadlineExpired",
    "Estimate",
    "FailedFrame",
    "Frame",
    "Graph",
    "Job",
    "JobFile",
    "Model",
    "NotModified",
    "Picture",
    "ProblemError",
    "Progress",
    "Result",
    "RetryBudget",
    "RetryPolicy",
    "SrserveError",
    "UnexpectedAnswer",
    "__version__",
]
