"""What the journal has yet to be told of a window. A value: a store keeps it, `proxy/windows.py` sees to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pgjit.grants.window import Window

__all__ = ["Due", "Kind"]

Kind = Literal["opened", "ended"]


@dataclass(frozen=True, slots=True)
class Due:
    kind: Kind
    window: Window
    note: str  # what a record says beside the window, as it was given
