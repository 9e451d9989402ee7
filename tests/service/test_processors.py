"""Usable cores are those of the process, not of the machine."""

import os
from pathlib import Path

import pytest

from service.processors import usable_cores

BOUND = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version_2(folder: Path, content: str) -> Path:
    (folder / "cpu.max").write_text(content)
    return folder


def test_without_a_quota_they_are_those_it_is_bound_to(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == BOUND
    assert usable_cores(version_2(tmp_path, "max 100000\n")) == BOUND


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binding to cores is Linux's")
def test_being_bound_to_one_counts(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_quota_is_rounded_up_and_never_none(tmp_path: Path) -> None:
    assert usable_cores(version_2(tmp_path, "5000 100000\n")) == 1
    assert usable_cores(version_2(tmp_path, "100001 100000\n")) == min(2, BOUND)
    assert usable_cores(version_2(tmp_path, "6400000 100000\n")) == BOUND


def test_the_older_control_groups_are_understood(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert usable_cores(tmp_path) == 1
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(tmp_path) == BOUND


def test_what_cannot_be_understood_is_no_quota(tmp_path: Path) -> None:
    assert usable_cores(version_2(tmp_path, "much")) == BOUND
