"""Which reports a worker sends: that of each test, and of its setup and teardown what a person would look at.

Most setups and teardowns pass at once, and nobody reads of them. To send each, and to take it up, is a hundredth of a
second for each test of a run, more than most tests take. Where the run writes its results to a file, all are sent.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["Reports", "is_worth_sending"]

_SECONDS = 0.1
"""A setup or a teardown that takes so long may be among the slowest of a run."""


def is_worth_sending(report: pytest.TestReport) -> bool:
    return (
        report.when == "call"
        or not report.passed
        or report.duration >= _SECONDS
        or bool(report.sections or report.user_properties)
    )


class Reports:
    """In the place of the part of xdist that sends every report."""

    def __init__(self, sender: Any) -> None:
        self._sender = sender

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if is_worth_sending(report):
            self._sender.pytest_runtest_logreport(report)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") or config.getoption("xmlpath", None):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            config.hook.pytest_runtest_logreport._remove_plugin(plugin)
            config.pluginmanager.register(Reports(plugin), "reports worth sending")
