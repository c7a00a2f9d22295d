"""Programs that the tests use where they are installed, and skip without."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["find", "need"]


def find(program: str) -> str | None:
    """Its path. Servers are in a folder for administrators, which may not be in PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def need(*programs: str) -> list[str]:
    """Their paths; the test is skipped if one is not installed."""
    found = []
    for program in programs:
        path = find(program)
        if path is None:
            pytest.skip(f"{program} is not installed")
        found.append(path)
    return found
