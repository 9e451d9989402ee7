"""docs/troubleshooting.md has a section for every problem code, and none for others."""

import re

from service.errors import ServiceError
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
SECTIONS = dict(re.findall(r"^### (\S+)\n(.+?)(?=^#|\Z)", PAGE, flags=re.DOTALL | re.MULTILINE))


def kinds(kind: type[ServiceError] = ServiceError) -> dict[str, type[ServiceError]]:
    found: dict[str, type[ServiceError]] = {}
    for child in kind.__subclasses__():
        found |= {child.code: child} | kinds(child)
    return found


def test_every_code_has_a_section_and_no_section_is_of_a_code_that_is_gone() -> None:
    assert set(SECTIONS) == set(kinds()), "write the section, or remove it"


def test_each_section_begins_with_the_status_and_says_whether_to_try_again() -> None:
    for code, kind in kinds().items():
        begins = f"{kind.status}, again. " if kind.retryable else f"{kind.status}. "
        assert SECTIONS[code].startswith(begins), code
