"""The version of this package, and how it names itself to the service."""

import platform
from importlib import metadata

import httpx2


def _version() -> str:
    try:
        return metadata.version("srserve-client")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a checkout that is not installed


__version__ = _version()
USER_AGENT = f"srserve-client/{__version__} python/{platform.python_version()} httpx2/{httpx2.__version__}"
