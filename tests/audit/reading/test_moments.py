"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgjit.audit.reading.faults import AuditFault
from pgjit.audit.reading.moments import read_moment

NOW = datetime(2026, 11, 29, 10, 30, 15, tzinfo=UTC)


def test_a_moment_is_absolute_or_seen_from_now() -> None:
    rows = (
        ("2026-11-28", datetime(2026, 11, 28, tzinfo=UTC)),
        ("2026-11-28 14:30", datetime(2026, 11, 28, 14, 30, tzinfo=UTC)),
        ("2026-11-28T14:30:00Z", datetime(2026, 11, 28, 14, 30, tzinfo=UTC)),
        ("2026-11-28T14:30:00+02:00", datetime(2026, 11, 28, 12, 30, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 28, tzinfo=UTC)),
        ("today", datetime(2026, 11, 29, tzinfo=UTC)),
        ("now", NOW),
        ("2h", NOW - timedelta(hours=2)),
        ("90s ago", NOW - timedelta(seconds=90)),
        ("1w", NOW - timedelta(weeks=1)),
    )
    assert [(text, read_moment(text, NOW, "--since")) for text, _ in rows] == list(rows)


def test_anything_else_is_refused_with_what_works() -> None:
    for text in ("", "soon", "2h3m", "-2h", "2026-13-01", "999999w", "1e3h"):
        with pytest.raises(AuditFault) as fault:
            read_moment(text, NOW, "--since")
        assert fault.value.detail == "It was given with --since."
