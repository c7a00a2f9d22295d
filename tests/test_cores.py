"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgjit.cores import cores


@pytest.mark.parametrize("content", [None, "max 100000", "", "a b", "100000 0", "9900000 100000"])
def test_without_a_limit_that_can_be_read_the_affinity_counts(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "cpu.max"
    if content is not None:
        file.write_text(content)
    assert cores(file) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("content", ["100000 100000", "1000 100000", "0 100000"])
def test_a_limit_of_the_control_group_counts(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{content}\n")
    assert cores(file) == 1
