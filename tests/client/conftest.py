"""Fixtures for tests of the client: each test that takes `connect` runs with both clients."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.both import CLIENTS, client_of

Connect = Callable[..., Any]


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """`connect(url, **options)` gives a client to be used in a `with` block."""
    with asyncio.Runner() as runner:
        yield functools.partial(client_of, request.param, runner)
