"""`python -m export fetch`: from a name in the catalogue to graphs in the store, through a real server."""

import hashlib
import re
from pathlib import Path

import pytest
import torch

import export.__main__ as command
from export import fetch as module
from export.__main__ import main
from export.catalogue import CATALOGUE, Entry
from export.fetch import default_cache
from service.manifest import read_manifest
from tests.export.examples import small_config, small_edsr
from tests.export.importers.examples import official
from tests.export.shelf import Shelf, serving


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An EDSR x2 as its authors would publish it, the only entry of the catalogue, as "mine"; x3 is another file."""
    path = tmp_path / "published.pt"
    torch.save(official(small_edsr(small_config(2, blocks=1))), path)
    content = path.read_bytes()
    files: dict[str, tuple[int, ...]] = {f"mine_x2-{hashlib.sha256(content).hexdigest()[:8]}.pt": (2,)}
    files["mine_x3-00000000.pt"] = (3,)
    entry = Entry("mine", "a small EDSR", "http://127.0.0.1:9/official", files, "CC0-1.0")
    monkeypatch.setattr(module, "CATALOGUE", (entry,))
    return content


def run(tmp_path: Path, *arguments: str) -> int:
    return main(["fetch", *arguments, "--store", str(tmp_path / "store"), "--cache", str(tmp_path / "cache")])


def test_a_name_becomes_a_served_model_and_is_downloaded_once(
    tmp_path: Path, published: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Shelf(published)) as shelf:
        mirror = shelf.url.rpartition("/")[0] + "/copies/"
        assert run(tmp_path, "mine", "--scale", "2", "--mirror", mirror) == 0
        entry, lines = module.find("mine"), list[str]()
        again = module.fetch(entry, scale=2, cache=tmp_path / "cache", mirror=mirror, report=lines.append)
    printed = capsys.readouterr()
    assert [re.sub(r"-\w{8}", "", path) for path in shelf.paths] == ["/copies/mine_x2.pt"]
    assert f"{len(published)} bytes, sha256 {hashlib.sha256(published).hexdigest()[:8]}... as published" in printed.out
    assert [path.read_bytes() for path in again] == [published]
    assert read_manifest(tmp_path / "store" / "mine" / "x2.onnx").licence == "CC0-1.0"
    assert "warning: " in printed.err  # what import says is said here too


def test_a_wrong_file_is_an_error_and_nothing_of_it_is_left(
    tmp_path: Path, published: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Shelf(published)) as shelf:
        assert run(tmp_path, "mine", "--mirror", shelf.url) == 1
    assert re.search(r"export failed: .*/mine_x3-00000000\.pt: .*not with 00000000", capsys.readouterr().err)
    assert {path.name for path in (tmp_path / "cache").iterdir()} - {"lock"} == {
        shelf.paths[0].rpartition("/")[2],  # the right one is kept for the next time
    }
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("yours",), "'yours' is not in the catalogue: mine"),
        (("mine", "--scale", "8"), "mine: is for x2, x3, not for x8"),
        (("mine", "--model", "../mine"), "cannot name a model"),
    ],
    ids=["name", "scale", "model"],
)
def test_what_cannot_be_had_is_refused_before_anything_is_downloaded(
    tmp_path: Path, published: bytes, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
) -> None:
    with serving(Shelf(published)) as shelf:
        assert run(tmp_path, *arguments, "--mirror", shelf.url) == 1
    assert reason in capsys.readouterr().err
    assert shelf.requests == []


def test_ctrl_c_ends_with_130_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fetch", interrupt)
    assert run(tmp_path, CATALOGUE[0].name) == 130
    assert capsys.readouterr().err.startswith("interrupted; ")


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in CATALOGUE]
    assert all("licence" in line and "https://" in line for line in lines)


@pytest.mark.parametrize("arguments", [[], ["edsr-official", "--list"]], ids=["nothing", "both"])
def test_a_name_or_the_list_is_wanted(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fetch", *arguments])
    assert stopped.value.code == 2
    assert "usage: python -m export fetch" in capsys.readouterr().err


def test_every_entry_has_scales_a_digest_for_each_file_and_an_encrypted_address() -> None:
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    names = [name for entry in CATALOGUE for name in entry.files]
    assert len(set(names)) == len(names)
    for entry in CATALOGUE:
        assert entry.scales == (2, 3, 4)
        assert entry.url.startswith("https://")
        assert all(re.fullmatch(r"[0-9a-f]{8}", module._digest(name)) for name in entry.files)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_cache() == Path("/elsewhere/srserve")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_cache() == Path("/home/somebody/.cache/srserve")
