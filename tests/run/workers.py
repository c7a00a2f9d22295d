"""How many tests run at a time: two more than there are cores, for a test waits as often as it computes.

The fast part only computes: it has a worker for each core.
`PYTEST_XDIST_AUTO_NUM_WORKERS` says otherwise. Each worker has servers of its own. What is there when the tests begin
stays to the end, thousands of tests and their modules: the garbage collector need not look at it, not even once.
"""

from __future__ import annotations

import gc
import os

import pytest

__all__ = ["pytest_xdist_auto_num_workers"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads it by itself
    cores = os.cpu_count() or 1
    return cores if config.getoption("--fast") else cores + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
