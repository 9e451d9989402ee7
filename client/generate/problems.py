"""srserve_client/problems.py, made from the service's tree of errors.

The client imports nothing of the service, and yet its classes are the service's own: a test fails when the file is old.
"""

from collections.abc import Iterator
from pathlib import Path

from generate.ruff import formatted
from service.errors import ClientClosed, ServiceError

TARGET = Path(__file__).resolve().parent.parent / "srserve_client" / "problems.py"

HEAD = '''"""Problems: a class for each code that the service answers with, the service's own tree of errors.

Made by `python -m generate` from service/errors.py; changes by hand are lost.
"""

from srserve_client.errors import ProblemError
'''

NEVER_ANSWERED = (ClientClosed,)  # nobody is there to read it


def render() -> str:
    """The whole file."""
    kinds = list(_descendants(ServiceError))
    classes = "".join(_class(kind) for kind in kinds)
    codes = "".join(f'    "{kind.code}": {kind.__name__},\n' for kind in sorted(kinds, key=lambda kind: kind.code))
    return formatted(f"{HEAD}{classes}\n\nPROBLEMS: dict[str, type[ProblemError]] = {{\n{codes}}}\n", TARGET)


def _class(kind: type[ServiceError]) -> str:
    parent = kind.__base__
    assert parent is not None
    base = "ProblemError" if parent is ServiceError else parent.__name__
    return (
        f"\n\nclass {kind.__name__}({base}):\n"
        f'    """{kind.title}."""\n\n'
        f'    status, code, retryable = {kind.status}, "{kind.code}", {kind.retryable}\n'
        f'    title = "{kind.title}"\n'
    )


def _descendants(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Parents before children, in the order of service/errors.py."""
    for child in kind.__subclasses__():
        if child not in NEVER_ANSWERED:
            yield child
            yield from _descendants(child)
