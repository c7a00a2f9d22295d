"""A test that hangs is a failed test, and a run never stands still.

The limits are those of pytest-timeout: `timeout` in pyproject.toml and the marker. Its own timer does not do, for
three reasons. It is stopped as soon as a test fails: a teardown after a failure waited for ever. It fires once. And
what it raises is logged and dropped where uvloop waits for events. This one covers setup, call and teardown, however
they end, stops uvloop's loop, and fires again every `timeout_again` seconds until all is over.
Where no Python code runs any more, the process beside the run ends it (tests/run/guardian.py).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING

import pytest
import pytest_timeout

from tests.run import guardian
from tests.run.processes import OWNED

if TYPE_CHECKING:
    from pytest_timeout import Settings

__all__ = ["Deadlines"]

_TIMES = 6  # so often is a test interrupted before the run is given up
_EXIT = 3  # times `timeout_again` for the end of the process, when its last test is over


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("timeout_again", "seconds after which what hangs is interrupted again", default="20")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # The process that only hands out tests to others runs none.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Deadlines(float(config.getini("timeout_again"))), "deadlines")


class Deadlines:
    def __init__(self, again: float) -> None:
        self._again = again
        self._limit: float | None = None
        self._in_phase = False
        self._fired = 0
        mark = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._guardian = subprocess.Popen(
            [sys.executable, guardian.__file__, str(os.getpid()), mark],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, bufsize=0,
        )  # fmt: skip
        OWNED.add(self._guardian.pid)
        os.environ[guardian.MARK] = mark

    def _say(self, text: str) -> None:
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(text.encode() + b"\n")

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, settings: Settings) -> bool:
        """In place of pytest-timeout's; called before the setup."""
        if settings.disable_debugger_detection or not pytest_timeout.is_debugging():
            self._limit, self._fired = settings.timeout, 0
            self._say(f"{settings.timeout + self._again * _TIMES:.0f}")
            signal.signal(signal.SIGALRM, self._interrupt)
            signal.setitimer(signal.ITIMER_REAL, settings.timeout, self._again)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> bool:
        """Called when a test fails, too: its teardown is still to come."""
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            if self._limit is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
                self._say("-")
                self._limit = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    def _phase(self) -> Generator[None, object, object]:
        self._in_phase, before = True, self._fired
        try:
            return (yield)
        except RuntimeError as stopped:  # as uvloop says that its loop was
            if self._fired == before:
                raise
            raise pytest.fail.Exception(f"took longer than {self._limit:.0f} s") from stopped
        finally:
            self._in_phase = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Between the phases pytest's own code runs: the next time is soon enough.
        if not self._in_phase or pytest_timeout.is_debugging():
            return
        self._fired += 1
        loop = asyncio.events._get_running_loop()
        waits = loop is not None and asyncio.current_task(loop) is None
        # It may be a callback that hangs, which no loop can stop: every second time that is taken for the case.
        if loop is not None and type(loop).__module__ != "asyncio.unix_events" and waits and self._fired % 2:
            loop.call_soon_threadsafe(loop.stop)
        else:
            pytest.fail(f"took longer than {self._limit:.0f} s")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """What is left to do is to exit: threads and workers that are waited for then may hang as well."""
        self._say(f"{self._again * _EXIT:.0f}")
