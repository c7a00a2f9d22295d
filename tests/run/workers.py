"""How many tests run at a time: one more than there are cores, for a test waits as often as it computes.

`PYTEST_XDIST_AUTO_NUM_WORKERS` says otherwise. Each worker has servers of its own.
"""

from __future__ import annotations

import os

import pytest

__all__ = ["pytest_xdist_auto_num_workers"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads it by itself
    return (os.cpu_count() or 1) + 1
