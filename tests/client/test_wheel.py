"""The wheel, built and installed alone in an empty environment, works against a running service."""

import email.parser
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, LiveServer
from tests.service.pictures import as_file, as_pixels, pixels

SCRIPT = """
import sys
from srserve_client import Client
with Client(sys.argv[1]) as client:
    result = client.upscale(sys.argv[2], model="nearest", scale=2)
    result.save(sys.argv[3])
    print(client.model("nearest").scales)
foreign = {"PIL", "numpy", "service", "typer", "rich"} & set(sys.modules)
assert not foreign, foreign
"""


# What bash does at a Tab, after the line that `srserve --show-completion bash` gives for ~/.bashrc.
COMPLETION = """
eval "$(srserve --show-completion bash)"
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $completer "$1"; echo "${COMPREPLY[@]}"; }
completer=$(complete -p srserve | sed 's/.* -F \\([^ ]*\\).*/\\1/')
complete_line srserve mod
complete_line srserve upscale --model n
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(REPOSITORY / "client", folder / "source")  # a build leaves files beside the source
    command = ["wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *command, str(source)], check=True)
    (path,) = folder.glob("srserve_client-*.whl")
    return path


def test_the_wheel_is_typed_licensed_and_needs_httpx2_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("dist-info/METADATA"))
        facts = email.parser.Parser().parsestr(archive.read(metadata).decode())
    assert "srserve_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    needed = [line for line in facts.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.partition(">")[0] for line in needed] == ["httpx2"]
    sources = {path.relative_to(REPOSITORY / "client") for path in (REPOSITORY / "client/srserve_client").rglob("*.py")}
    assert {str(path) for path in sources} == {name for name in names if name.endswith(".py")}


def installed(folder: Path, requirement: str) -> Path:
    """The programs of an environment with nothing in it but that and what it needs."""
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", requirement], check=True)
    return folder / "bin"


def ran(*command: object, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_alone_in_an_empty_environment_it_upscales(wheel: Path, live_server: LiveServer, tmp_path: Path) -> None:
    programs = installed(tmp_path / "empty", str(wheel))
    (tmp_path / "photo.png").write_bytes(as_file(pixels(5, 6)))
    done = ran(programs / "python", "-c", SCRIPT, live_server.url, "photo.png", "large.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "(2, 3, 4)\n"), done.stderr
    assert as_pixels((tmp_path / "large.png").read_bytes()).shape == (10, 12, 3)
    command = ran(programs / "srserve", "models", cwd=tmp_path)
    assert command.returncode == 1
    assert command.stderr == "srserve needs typer: pip install 'srserve-client[cli]'\n"


def test_with_its_extra_the_command_upscales_and_bash_completes_it(
    wheel: Path, live_server: LiveServer, tmp_path: Path
) -> None:
    programs = installed(tmp_path / "empty", f"{wheel}[cli]")
    (tmp_path / "photo.png").write_bytes(as_file(pixels(5, 6)))
    words = ("upscale", "photo.png", "-o", "large.png", "--model", "nearest", "--scale", "2", "--json")
    done = ran(programs / "srserve", *words, cwd=tmp_path, SR_BASE_URL=live_server.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == "large.png"
    assert as_pixels((tmp_path / "large.png").read_bytes()).shape == (10, 12, 3)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    completed = ran("bash", "-c", COMPLETION, cwd=tmp_path, SR_BASE_URL=live_server.url, PATH=path)
    assert completed.stdout.split() == ["models", "nearest"], completed.stderr
