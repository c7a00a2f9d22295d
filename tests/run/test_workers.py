"""Two workers more than there are cores, unless all of it computes or the environment says how many."""

from __future__ import annotations

import os
from unittest.mock import Mock

import pytest

from tests.run.workers import pytest_xdist_auto_num_workers


def workers(*, fast: bool = False) -> int | None:
    config = Mock(spec=pytest.Config)
    config.getoption.side_effect = {"--fast": fast}.__getitem__
    return pytest_xdist_auto_num_workers(config)


def test_there_are_two_workers_more_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    cores = os.cpu_count() or 1
    assert workers() == cores + 2
    assert workers(fast=True) == cores


def test_the_environment_may_say_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")
    assert workers() is None
