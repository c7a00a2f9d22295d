"""A node of a fleet: one pgjit process among those that use one window store. A value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """As the store has it. Its silence is measured by the database's clock, which all nodes share."""

    name: str
    run: str  # one process; the next one under this name has another
    started_at: datetime
    heartbeat_at: datetime
    silence: timedelta  # since its last heartbeat
    stopped: bool  # it was stopped in order
    policies: Mapping[str, str]  # version by name

    @property
    def runs(self) -> bool:
        """It has begun and was not stopped; it may have been killed."""
        return not self.stopped
