"""How much of its budget a window has used, all its sessions together. A value; `proxy/relay/budget.py` counts."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["LeasedUsage", "Usage"]


@dataclass(slots=True)
class Usage:
    rows: int = 0
    bytes: int = 0
    statements: int = 0


@dataclass(slots=True)
class LeasedUsage(Usage):
    """The usage as this node sees it: what it has spent, and what is spent by other nodes or leased to them.

    INVARIANT: nothing is counted beyond `most` unless it was refused. More has to be leased first.
    """

    most: Usage = field(default_factory=Usage)  # how far this node may count
    others: Usage = field(default_factory=Usage)  # leased to other nodes; some of it may come back
