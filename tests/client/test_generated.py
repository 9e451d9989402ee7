"""What is generated is current, and what the generator cannot translate is not passed over."""

from pathlib import Path

import pytest

from generate import problems, sync
from service.errors import ClientClosed, ServiceError
from srserve_client.errors import ProblemError
from srserve_client.problems import PROBLEMS

COMMAND = "PYTHONPATH=client python -m generate"


def test_the_problems_are_those_of_the_service() -> None:
    assert problems.TARGET.read_text() == problems.render(), f"run `{COMMAND}`"


@pytest.mark.parametrize("path", sorted(sync.render()), ids=lambda path: path.name)
def test_the_sync_half_is_that_of_the_async_one(path: Path) -> None:
    assert path.read_text() == sync.render()[path], f"run `{COMMAND}`"


def test_no_sync_file_is_left_over() -> None:
    assert {path.name for path in sync.TARGET.glob("*.py")} == {path.name for path in sync.SOURCE.glob("*.py")}


def test_every_class_has_the_facts_and_the_parent_of_the_services_own() -> None:
    def facts(kind: type[ProblemError] | type[ServiceError]) -> tuple[object, ...]:
        parent = kind.__mro__[1]
        return (
            kind.__name__,
            kind.code,
            kind.status,
            kind.title,
            kind.retryable,
            None if parent in (ProblemError, ServiceError) else parent.__name__,
        )

    theirs = _descendants(ServiceError) - {ClientClosed}
    assert {facts(kind) for kind in PROBLEMS.values()} == {facts(kind) for kind in theirs}


def test_a_line_that_no_rule_makes_sync_stops_the_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd.py").write_text('"""Odd."""\n\nimport asyncio\n')
    monkeypatch.setattr(sync, "SOURCE", tmp_path)
    with pytest.raises(ValueError, match=r"odd\.py.*import asyncio"):
        sync.render()


def _descendants(kind: type[ServiceError]) -> set[type[ServiceError]]:
    children = set(kind.__subclasses__())
    return children.union(*(_descendants(child) for child in children))
