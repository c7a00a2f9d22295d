"""The alert that a break-glass window was opened: loud, in the log and in the metrics."""

from __future__ import annotations

import logging

from pgjit.grants.window import Window
from pgjit.telemetry import Telemetry

__all__ = ["alert_of_break_glass"]

_log = logging.getLogger("pgjit.windows")


def alert_of_break_glass(window: Window, telemetry: Telemetry | None) -> None:
    """For any other window nothing happens."""
    if not window.break_glass:
        return
    _log.critical(
        "break-glass window %s was opened by %s under policy %s, until %s: a person has to sign it off",
        window.id, window.identity.oid, window.policy, window.ends_at.isoformat(),
    )  # fmt: skip
    if telemetry is not None:
        telemetry.break_glass()
