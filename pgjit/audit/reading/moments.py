"""A moment as a person writes it: `2026-11-28`, `2026-11-28 14:30`, `yesterday`, `2h`. Pure.

Decides that times without a zone are UTC, as all times of the journal are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from pgjit.audit.reading.faults import AuditFault

__all__ = ["read_moment"]

_AGO: Final = re.compile(r"([0-9]{1,6})(s|m|h|d|w)(?: ago)?\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS: Final = {"today": 0, "yesterday": 1}


def read_moment(text: str, now: datetime, option: str) -> datetime:
    """`yesterday` and `today` are the beginning of that day; `2h` is two hours before `now`. Raises AuditFault."""
    written = text.strip().lower()
    if written == "now":
        return now
    if (days := _DAYS.get(written)) is not None:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=days)
    try:
        if ago := _AGO.match(written):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise AuditFault(
            f"`{text}` is no moment",
            reference="invalid-moment",
            detail=f"It was given with {option}.",
            hint=(
                "Write `2026-11-28`, `2026-11-28T14:30:00Z`, `today`, `yesterday`, or `2h` for two hours ago "
                "(units: s, m, h, d, w)."
            ),
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
