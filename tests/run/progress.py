"""What a run prints while it goes on: a line for each file that is done, instead of a dot for each test.

    [ 42% 3:10] tests/e2e/test_cancel.py: 14 passed in 9 s

Left alone with `-v`, `-q` or a few tests. Failures are printed at once by their name, and as ever at the end.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from _pytest.terminal import TerminalReporter

__all__ = ["Progress"]

_FEW = 100  # so few tests are shown as pytest does
_QUIET = 30.0  # where no file was done for so long, what runs is named


@pytest.hookimpl(trylast=True)  # the reporter is there then
def pytest_configure(config: pytest.Config) -> None:
    if config.get_verbosity() == 0 and not hasattr(config, "workerinput"):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if isinstance(reporter, TerminalReporter):
            config.pluginmanager.register(Progress(reporter), "progress by file")


class Progress:
    def __init__(self, reporter: TerminalReporter) -> None:
        self._reporter = reporter
        self._begun = self._printed = time.monotonic()
        self._left: Counter[str] = Counter()
        self._all = 0
        self._done = 0
        self._took: dict[str, float] = defaultdict(float)
        self._ended: dict[str, Counter[str]] = defaultdict(Counter)
        self._running: dict[str, float] = {}

    def _expect(self, tests: Sequence[str]) -> None:
        self._left = Counter(_file(test) for test in tests)
        self._all = len(tests)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if not self._all:
            self._expect(ids)
            self._reporter.write_line(f"\n{self._all} tests in {len(self._left)} files")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: object) -> tuple[str, str, str] | None:
        """No letter for what went well; the file's line counts it."""
        if isinstance(report, pytest.TestReport) and self._all > _FEW and not report.failed:
            if report.skipped:
                return ("xfailed" if hasattr(report, "wasxfail") else "skipped", "", "")
            return ("passed" if report.when == "call" else "", "", "")
        return None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._all <= _FEW:
            return
        file = _file(report.nodeid)
        self._took[file] += report.duration
        if report.failed:
            self._ended[file]["failed"] += 1
            self._write(f"FAILED {report.nodeid} ({report.when})")
        elif report.skipped:
            self._ended[file]["skipped"] += 1
        elif report.when == "call":
            self._ended[file]["passed"] += 1

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self._all <= _FEW:
            return
        file = _file(nodeid)
        self._running.pop(nodeid, None)
        self._left[file] -= 1
        self._done += 1
        if not self._left[file]:
            ended = ", ".join(f"{number} {how}" for how, number in self._ended[file].items())
            self._write(f"{file}: {ended} in {self._took[file]:.0f} s")
        elif time.monotonic() - self._printed > _QUIET and self._running:
            self._write("running: " + ", ".join(self._running))

    def _write(self, text: str) -> None:
        self._printed = time.monotonic()
        minutes, seconds = divmod(int(self._printed - self._begun), 60)
        self._reporter.ensure_newline()
        self._reporter.write_line(f"[{100 * self._done // self._all:3d}% {minutes}:{seconds:02d}] {text}")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
