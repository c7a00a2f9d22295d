"""A key that all nodes on a store have, and nobody else. Pure.

Decides when a new one is made and how long an old one is kept. Does not know what is signed with it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

__all__ = ["KEPT_FOR", "RENEWED_AFTER", "FleetKey"]

RENEWED_AFTER = timedelta(days=30)
KEPT_FOR = timedelta(days=120)
"""Longer than a session lasts, whose cancel key was made with it."""


@dataclass(frozen=True, slots=True)
class FleetKey:
    """`number` grows with each new one."""

    number: int
    made_at: datetime
    secret: bytes = field(repr=False)

    def mac(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.digest(self.secret, purpose + b"\0" + data, "sha256")
