"""The record that pgjit stopped. Decides that a journal that cannot take it does not hold up the stop."""

from __future__ import annotations

import logging

from pgjit.audit.event import ServiceStopped
from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable

__all__ = ["note_stop"]

_log = logging.getLogger("pgjit.app")


def note_stop(journal: Journal, clock: Clock) -> None:
    try:
        journal.append([ServiceStopped(at=clock(), reason="stopped")])
    except JournalUnavailable:
        _log.error("the stop of the service could not be recorded")
