"""How much of its budget a window has used, all its sessions together. A value; `proxy/relay/budget.py` counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage"]


@dataclass(slots=True)
class Usage:
    rows: int = 0
    bytes: int = 0
    statements: int = 0
