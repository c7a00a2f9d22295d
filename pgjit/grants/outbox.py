"""The transactional outbox: records of windows that the journal has still to take. Values only.

The store commits an entry together with the window's opening or end; `proxy/window/windows.py` writes the record to
the journal and then deletes the entry. So a process that is killed in between leaves no window without its records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pgjit.grants.window import Window

__all__ = ["OutboxEntry", "RecordKind"]

RecordKind = Literal["opened", "ended"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One record that is due: `window.opened` or `window.ended`."""

    kind: RecordKind
    window: Window
    note: str  # what the record holds beside the window, as JSON
