"""What the images install: pinned, hashed, and what pyproject.toml asks for."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

LOCKS = REPOSITORY / "deploy" / "locks"
VARIANTS = ("cpu", "gpu")


def locked(variant: str) -> dict[str, tuple[Requirement, int]]:
    """Each pinned package for this Python, with the number of its hashes."""
    entries = re.split(r"\n(?=\S)", (LOCKS / f"{variant}.txt").read_text())
    packages = {}
    for entry in entries:
        if entry.startswith("#"):
            continue
        requirement = Requirement(entry.partition("\\")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            packages[requirement.name] = (requirement, entry.count("--hash=sha256:"))
    return packages


def wanted(variant: str) -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"][variant]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows(variant: str) -> None:
    packages = locked(variant)
    for requirement in wanted(variant):
        pinned, _ = packages[requirement.name]
        (version,) = pinned.specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version), f"{pinned}; run `make lock`"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_package_has_hashes(variant: str) -> None:
    packages = locked(variant)
    assert len(packages) > 20
    assert [name for name, (_, hashes) in packages.items() if hashes == 0] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_of_the_training_side_and_no_address_is_locked(variant: str) -> None:
    assert {"torch", "onnx", "onnxscript", "scikit-image"}.isdisjoint(locked(variant))
    assert "://" not in (LOCKS / f"{variant}.txt").read_text()


def test_the_gpu_image_gets_cuda_and_cudnn_from_packages_and_no_second_onnxruntime() -> None:
    packages = locked("gpu")
    assert {"nvidia-cudnn-cu13", "nvidia-cuda-runtime", "nvidia-cublas", "onnxruntime-gpu"} <= packages.keys()
    assert "onnxruntime" not in packages
