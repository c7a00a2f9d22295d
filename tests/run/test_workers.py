"""Two workers more than there are cores, unless the environment says how many."""

from __future__ import annotations

import os

import pytest

from tests.run.workers import pytest_xdist_auto_num_workers


def test_there_are_two_workers_more_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    assert pytest_xdist_auto_num_workers() == (os.cpu_count() or 1) + 2


def test_the_environment_may_say_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")
    assert pytest_xdist_auto_num_workers() is None
