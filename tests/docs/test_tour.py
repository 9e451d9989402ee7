"""docs/tour.md: every file and function that it names is there, and a request really goes that way."""

import ast
import asyncio
import re
import sys
import threading
from pathlib import Path
from types import FrameType

import httpx2
import pytest
import uvicorn

from service.app import create_app
from service.keys.__main__ import main as keys
from service.server import listen, server_config
from service.settings import Settings
from tests.conftest import REPOSITORY, eventually
from tests.service.pictures import as_file, pixels

TOUR = (REPOSITORY / "docs" / "tour.md").read_text()
NAMED = re.compile(r"\[`([\w/.]+)`\]\(\.\./([\w/.]+)\)(?:\s+`([\w.]+)`)?")
ONLY_ON_A_GPU = ("service/slots.py", "Pipeline.take")

STEPS = [(file, name) for file, _, name in NAMED.findall(TOUR) if name]


def test_every_file_is_there_under_the_name_that_is_read() -> None:
    found = NAMED.findall(TOUR)
    assert len(found) > 25
    for shown, linked, _ in found:
        assert shown == linked
        assert (REPOSITORY / linked).is_file(), linked


@pytest.mark.parametrize(("file", "name"), STEPS, ids=lambda value: value.replace("/", "."))
def test_every_function_is_defined_in_its_file(file: str, name: str) -> None:
    scope: ast.AST = ast.parse((REPOSITORY / file).read_text())
    for part in name.split("."):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        scope = next(node for node in ast.iter_child_nodes(scope) if isinstance(node, kinds) and node.name == part)


def test_the_request_goes_that_way(oracle_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.json"
    assert keys(["--file", str(file), "make", "Ada"]) == 0
    headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
    settings = Settings(store=oracle_store, device="cpu", threads=1, port=0, keys=file, jobs=tmp_path / "jobs")
    called: list[tuple[str, str]] = []
    listening = False

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if listening and event == "call" and code.co_filename.startswith(str(REPOSITORY / "service")):
            called.append((str(Path(code.co_filename).relative_to(REPOSITORY)), code.co_qualname))

    threading.setprofile(note)  # of threads that begin from now on
    try:
        app = create_app(settings)
        server = uvicorn.Server(server_config(app, settings))
        with listen(settings) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
            thread.start()
            try:
                with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
                    assert eventually(lambda: _is_ready(client), timeout_s=60)
                with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
                    listening = True
                    answer = client.post(
                        "/upscale?model=nearest&scale=4", content=as_file(pixels(9, 7)), headers=headers
                    )
                    assert answer.status_code == 200
                    assert eventually(lambda: ("service/metrics.py", "Metrics.request_ended") in called)
            finally:
                server.should_exit = True
                thread.join(60)
    finally:
        threading.setprofile(None)
        assert sys.getprofile() is None
    expected = [step for step in STEPS if step != ONLY_ON_A_GPU]
    assert [step for step in expected if step not in called] == []
    assert sorted(expected, key=called.index) == expected


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False
