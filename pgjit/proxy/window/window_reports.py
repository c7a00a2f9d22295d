"""Reports to the operators that a window was opened or has ended: a line in the log, a count in the metrics."""

from __future__ import annotations

import logging

from pgjit.grants.window import Window
from pgjit.proxy.window.break_glass import alert_of_break_glass
from pgjit.telemetry import Telemetry

__all__ = ["report_ended", "report_opened"]

_log = logging.getLogger("pgjit.windows")


def report_opened(window: Window, telemetry: Telemetry | None) -> None:
    _log.info(
        "window %s was opened for %s under policy %s, until %s",
        window.id, window.identity.oid, window.policy, window.ends_at.isoformat(), extra={"window": window.id},
    )  # fmt: skip
    alert_of_break_glass(window, telemetry)
    if telemetry is not None:
        telemetry.window_opened(window.policy)


def report_ended(window: Window, reason: str, telemetry: Telemetry | None) -> None:
    _log.info(
        "window %s under policy %s has ended: %s", window.id, window.policy, reason, extra={"window": window.id}
    )
    if telemetry is not None:
        telemetry.window_ended(reason)
