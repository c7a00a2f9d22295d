"""The alert that a break-glass window was opened."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from pgjit.proxy.window.break_glass import alert_of_break_glass
from tests.fakes.both_ends import CONTEXT


class Counted:
    """Telemetry that counts."""

    windows = 0

    def break_glass(self) -> None:
        self.windows += 1


def test_a_break_glass_window_is_loud_in_the_log_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    window, counted = replace(CONTEXT.window, break_glass=True), Counted()
    alert_of_break_glass(window, counted)  # type: ignore[arg-type]
    (record,) = caplog.records
    assert record.levelno >= logging.ERROR
    assert f"break-glass window {window.id} was opened by {window.identity.oid}" in record.getMessage()
    assert counted.windows == 1


def test_another_window_is_not(caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    alert_of_break_glass(CONTEXT.window, counted)  # type: ignore[arg-type]
    assert (caplog.records, counted.windows) == ([], 0)
