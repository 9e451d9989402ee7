"""Sessions for the tests of what runs them."""

import pytest

from service.sessions import Session
from tests import oracles
from tests.service.scheduling import TILE_PIXELS


@pytest.fixture(scope="session")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    """Open graphs of one thread, for tests of what runs them."""
    store = oracles.make_store(tmp_path_factory.mktemp("store"))
    oracles.save_graph(store, "poison", 2, oracles.poison_graph())
    oracles.save_graph(store, "nan", 2, oracles.not_a_number_graph())
    oracles.save_graph(store, "hungry", 2, oracles.hungry_graph(enough_for=4 * TILE_PIXELS))
    files = {
        "nearest": "nearest/x2.onnx",
        "float": "nearest/x2.float32.onnx",
        "blur": "blur/x2.onnx",
        "poison": "poison/x2.onnx",
        "nan": "nan/x2.float32.onnx",
        "hungry": "hungry/x2.onnx",
    }
    return {name: Session.open(store / file, device="cpu", threads=1) for name, file in files.items()}
