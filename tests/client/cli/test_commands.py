"""The other commands: what is served, what is passed on to the service, what the shell completes."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.cli.command import srserve
from tests.conftest import MODELS, REPOSITORY, LiveServer
from tests.service.pictures import as_file, bomb, pixels


def test_models_are_a_table_for_people(live_server: LiveServer) -> None:
    ran = srserve("models", url=live_server.url)
    assert ran.status == 0
    rows = [line.split()[1::2][:2] for line in ran.out.splitlines() if "Apache-2.0" in line]
    assert list(dict.fromkeys(name for name, _ in rows)) == MODELS
    assert [scale for name, scale in rows if name == "nearest"] == ["x2", "x3", "x4"]


def test_models_are_json_for_programs(live_server: LiveServer) -> None:
    assert [model["name"] for model in json.loads(srserve("models", "--json", url=live_server.url).out)] == MODELS
    (one,) = srserve("models", "nearest", "--json", url=live_server.url).lines
    assert one["scales"] == [2, 3, 4]


def test_an_unknown_model_is_wrong_use(live_server: LiveServer) -> None:
    ran = srserve("models", "none", url=live_server.url)
    assert ran.status == 2
    assert f"There is no model 'none'. There is {', '.join(MODELS)}." in ran.err


@pytest.mark.parametrize("command", [[], ["upscale"], ["video"], ["models"], ["estimate"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    ran = srserve(*command, "--help")
    assert ran.status == 0
    assert "Usage: srserve" in ran.out


def test_the_version_is_told() -> None:
    assert srserve("--version").out.startswith("srserve-client ")


def test_serve_is_the_services_own_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "srserve_client", "serve", "--help"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "client")])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--max-body-bytes" in done.stdout


def test_arguments_are_passed_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: became.append(arguments))
    srserve("export", "store", "--model", "edsr", "--help")
    srserve("check", "store/mine/x2.onnx")
    srserve("keys", "list", "--file", "keys.json")
    assert became == [
        [sys.executable, "-m", "export", "store", "--model", "edsr", "--help"],
        [sys.executable, "-m", "export", "check", "store/mine/x2.onnx"],
        [sys.executable, "-m", "service.keys", "list", "--file", "keys.json"],
    ]


def test_without_the_service_serve_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ran = srserve("serve", "--port", "1")
    assert ran.status == 2
    assert "not installed" in ran.err


def test_the_shell_completes_models_and_scales_from_the_service(live_server: LiveServer) -> None:
    def completed(words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "srserve_client"],
            env=os.environ
            | {
                "SR_BASE_URL": live_server.url,
                "PYTHONPATH": str(REPOSITORY / "client"),
                "_SRSERVE_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    assert completed("srserve upscale --model n") == ["nearest"]
    assert completed("srserve upscale --model nearest --scale ") == ["2", "3", "4"]


# --- estimate


def test_an_estimate_is_a_table_for_people_and_json_for_programs(live_server: LiveServer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        path.write_bytes(as_file(pixels(13, 20)))
    options = ("--model", "nearest", "--scale", 2)
    ran = srserve("estimate", *paths, *options, url=live_server.url)
    assert ran.status == 0
    assert ran.out.count("40 x 26") == 2
    first, second = srserve("estimate", *paths, *options, "--json", url=live_server.url).lines
    assert [first["input"], second["input"]] == [str(path) for path in paths]
    assert (first["accepted"], first["tiles"], first["width"]) == (True, 1, 40)


def test_an_estimate_of_what_would_be_refused_says_why_and_fails(live_server: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bomb(9000, 9000))
    ran = srserve("estimate", path, "--model", "nearest", "--scale", 2, "--json", url=live_server.url)
    assert ran.status == 1
    assert ran.lines[0]["problem"]["code"] == "too-many-pixels"
    assert srserve("estimate", path, "--model", "none", "--scale", 2, url=live_server.url).status == 2
    assert srserve("estimate", tmp_path / "none.png", "--model", "nearest", url=live_server.url).status != 0
