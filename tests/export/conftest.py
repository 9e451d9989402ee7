"""One export that all tests look at: tracing is what takes the time."""

from pathlib import Path

import pytest

from export.store import Exported, export_checkpoint
from tests.export.cases import FamilyStore
from tests.export.examples import small_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small EDSR x4 as training leaves it."""
    return small_checkpoint(tmp_path_factory.mktemp("training") / "last.safetensors", scale=4)


@pytest.fixture(scope="session")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What an export of `checkpoint` as "small" has put into a new store; tests leave the files as they are."""
    return export_checkpoint(checkpoint, model="small", store=tmp_path_factory.mktemp("new") / "store")


@pytest.fixture(scope="session")
def family_store(tmp_path_factory: pytest.TempPathFactory) -> FamilyStore:
    """One store for every family; a case is exported when a test first asks for it."""
    return FamilyStore(tmp_path_factory.mktemp("families") / "store", tmp_path_factory.mktemp("checkpoints"))
