"""The records that a window still has to have in the journal. A value: a store keeps it, `windows.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pgjit.grants.window import Window

__all__ = ["Kind", "OutboxEntry"]

Kind = Literal["opened", "ended"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    kind: Kind
    window: Window
    note: str  # what a record says beside the window, as it was given
